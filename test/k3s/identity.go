package main

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/sirupsen/logrus"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// As in k3s, the cluster's identity (the keys of its CAs, above all) is kept in
// the datastore, sealed with the server token: a copy of the datastore and the
// token are enough to set the cluster up again on another machine.
const (
	identityPrefix   = "/bootstrap/"
	identitySaltSize = 8
	identityRounds   = 4096
)

var errOtherToken = errors.New("bootstrap data already found and encrypted with different token")

func identityKey(token string) string {
	sum := sha256.Sum256([]byte(token))
	return identityPrefix + hex.EncodeToString(sum[:])[:12]
}

// reconcileIdentity runs when the datastore is up and before the API server: it
// refuses a token that is not the cluster's, takes up what another server has
// changed, and stores the identity of a new cluster. It tells whether
// authorities are other ones now.
func reconcileIdentity(ctx context.Context, c *config, secrets serverSecrets) (bool, error) {
	client, err := runningDatastore(ctx, c)
	if err != nil {
		return false, err
	}
	defer client.Close()
	var plain []byte
	var refused error
	// kine may not listen yet, and etcd be looking for its other members.
	err = poll(ctx, func() bool {
		plain, refused = readIdentity(ctx, client, secrets.server)
		return refused == nil || errors.Is(refused, errOtherToken)
	})
	if err := errors.Join(err, refused); err != nil {
		return false, err
	}
	if plain == nil {
		return false, writeIdentity(ctx, client, c.serverDir(), secrets, c.clusterSettings())
	}
	var identity serverBootstrap
	if err := json.Unmarshal(plain, &identity); err != nil {
		return false, err
	}
	before, err := readBootstrapFiles(c.serverDir())
	if err != nil {
		return false, err
	}
	if err := takeOverIdentity(c, identity); err != nil {
		return false, err
	}
	if identity.Files[encryptionConfig] == nil {
		// Secrets encryption may have been turned on here.
		err = writeIdentity(ctx, client, c.serverDir(), secrets, c.clusterSettings())
	}
	return hasOtherAuthorities(before, identity.Files), err
}

func hasOtherAuthorities(before, now map[string][]byte) bool {
	for name, data := range now {
		if name != encryptionConfig && !bytes.Equal(before[name], data) {
			return true
		}
	}
	return false
}

// writeIdentity stores what this server has if it has changed.
func writeIdentity(ctx context.Context, client *clientv3.Client, serverDir string, secrets serverSecrets, cluster clusterSettings) error {
	files, err := readBootstrapFiles(serverDir)
	if err != nil {
		return err
	}
	return storeIdentity(ctx, client, files, secrets, cluster)
}

func storeIdentity(ctx context.Context, client *clientv3.Client, files map[string][]byte, secrets serverSecrets, cluster clusterSettings) error {
	plain, err := json.Marshal(serverBootstrap{Files: files, AgentSecret: secrets.agent, Cluster: cluster})
	if err != nil {
		return err
	}
	found, err := readIdentity(ctx, client, secrets.server)
	if err != nil || string(found) == string(plain) {
		return err
	}
	sealed, err := seal(secrets.server, plain)
	if err != nil {
		return err
	}
	return replace(ctx, client, identityKey(secrets.server), string(sealed))
}

// replace is a put in the forms that kine knows: a plain one does not change what is there.
func replace(ctx context.Context, client *clientv3.Client, key, value string) error {
	found, err := client.Get(ctx, key)
	if err != nil {
		return err
	}
	change := client.Txn(ctx).If(clientv3.Compare(clientv3.ModRevision(key), "=", 0)).Then(clientv3.OpPut(key, value))
	if len(found.Kvs) > 0 {
		unchanged := clientv3.Compare(clientv3.ModRevision(key), "=", found.Kvs[0].ModRevision)
		change = client.Txn(ctx).If(unchanged).Then(clientv3.OpPut(key, value)).Else(clientv3.OpGet(key))
	}
	result, err := change.Commit()
	if err == nil && !result.Succeeded {
		err = fmt.Errorf("%s was changed meanwhile", key)
	}
	return err
}

// removeIdentity is for the one sealed with a token that is not valid any more.
func removeIdentity(ctx context.Context, client *clientv3.Client, token string) error {
	key := identityKey(token)
	found, err := client.Get(ctx, key)
	if err != nil || len(found.Kvs) == 0 {
		return err
	}
	// In the one form that kine knows.
	unchanged := clientv3.Compare(clientv3.ModRevision(key), "=", found.Kvs[0].ModRevision)
	_, err = client.Txn(ctx).If(unchanged).Then(clientv3.OpDelete(key)).Else(clientv3.OpGet(key)).Commit()
	return err
}

// restoreIdentity gives a machine that has a datastore and nothing else the identity out of it.
func restoreIdentity(ctx context.Context, c *config) error {
	if _, err := os.Stat(c.serverDir("tls", "server-ca.key")); err == nil || (!hasEtcdData(c) && !hasSQLiteData(c)) {
		return nil
	}
	token, err := parseToken(c.token)
	if err != nil {
		return fmt.Errorf("the token of the cluster that this data dir is of is needed: %w", err)
	}
	logrus.Info("Reading the cluster's identity from the datastore")
	return withStoppedDatastore(ctx, c, func(client *clientv3.Client) error {
		plain, err := readIdentity(ctx, client, token.secret)
		if err != nil {
			return err
		}
		var identity serverBootstrap
		if err := json.Unmarshal(plain, &identity); err != nil {
			return err
		}
		return takeOverIdentity(c, identity)
	})
}

// readIdentity returns nothing from a datastore without an identity.
func readIdentity(ctx context.Context, client *clientv3.Client, token string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, etcdCallTimeout)
	defer cancel()
	found, err := client.Get(ctx, identityPrefix, clientv3.WithPrefix())
	if err != nil {
		return nil, err
	}
	for _, pair := range found.Kvs {
		if string(pair.Key) == identityKey(token) {
			return unseal(token, pair.Value)
		}
	}
	if len(found.Kvs) > 0 {
		return nil, errOtherToken
	}
	return nil, nil
}

// runningDatastore is a client of this server's own datastore.
func runningDatastore(ctx context.Context, c *config) (*clientv3.Client, error) {
	if c.usesEtcd() {
		return newEtcdClient(ctx, c, localEtcdURLs...)
	}
	return newKineClient(ctx, c)
}

func withStoppedDatastore(ctx context.Context, c *config, use func(*clientv3.Client) error) error {
	if hasEtcdData(c) {
		return withPlainEtcd(ctx, c, use)
	}
	return withKine(ctx, c, use)
}

func seal(token string, plain []byte) ([]byte, error) {
	salt := make([]byte, identitySaltSize)
	rand.Read(salt) // never fails since Go 1.24
	box, err := identityCipher(token, salt)
	if err != nil {
		return nil, err
	}
	nonce := make([]byte, box.NonceSize())
	rand.Read(nonce)
	return box.Seal(append(salt, nonce...), nonce, plain, nil), nil
}

func unseal(token string, sealed []byte) ([]byte, error) {
	if len(sealed) < identitySaltSize {
		return nil, errors.New("bootstrap data are too short")
	}
	box, err := identityCipher(token, sealed[:identitySaltSize])
	if err != nil {
		return nil, err
	}
	rest := sealed[identitySaltSize:]
	if len(rest) < box.NonceSize() {
		return nil, errors.New("bootstrap data are too short")
	}
	return box.Open(nil, rest[:box.NonceSize()], rest[box.NonceSize():], nil)
}

func identityCipher(token string, salt []byte) (cipher.AEAD, error) {
	key, err := pbkdf2.Key(sha256.New, token, salt, identityRounds, 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}
