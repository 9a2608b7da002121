package main

import (
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

// storeIdentity writes the identity of a running server's cluster, if it has changed.
func storeIdentity(ctx context.Context, c *config, secrets serverSecrets) error {
	client, err := runningDatastore(ctx, c)
	if err != nil {
		return err
	}
	defer client.Close()
	files, err := readBootstrapFiles(c.serverDir())
	if err != nil {
		return err
	}
	plain, err := json.Marshal(serverBootstrap{Files: files, AgentSecret: secrets.agent, Cluster: c.clusterSettings()})
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
	_, err = client.Put(ctx, identityKey(secrets.server), string(sealed))
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
		return newEtcdClient(ctx, c, localEtcdURL)
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
