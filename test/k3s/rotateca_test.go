package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// newAuthority is one that the old one has signed, with its key, both as PEM.
func newAuthority(t *testing.T, old *authority) (certPEM, keyPEM []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := *old.cert
	template.Subject.CommonName, template.RawSubject = "a new one", nil
	template.SubjectKeyId, template.AuthorityKeyId = nil, nil
	der, err := x509.CreateCertificate(rand.Reader, &template, old.cert, key.Public(), old.key)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return encodeCert(der), pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: encoded})
}

func oldAuthority(t *testing.T) *authority {
	t.Helper()
	ca, err := ensureAuthority(filepath.Join(t.TempDir(), "ca"), "an old one")
	if err != nil {
		t.Fatal(err)
	}
	return ca
}

func TestNewAuthoritiesMustBeTrustedByThoseWhoTrustTheOldOnes(t *testing.T) {
	old, stranger := oldAuthority(t), oldAuthority(t)
	cert, key := newAuthority(t, old)
	_, otherKey := newAuthority(t, old)
	foreign, foreignKey := newAuthority(t, stranger)
	present := map[string][]byte{"tls/server-ca.crt": old.pem, "tls/server-ca.key": []byte("of the old one")}
	for _, given := range []struct {
		bundle, key []byte
		want        string
	}{
		{append(cert, old.pem...), key, ""},
		{old.pem, nil, ""},
		{cert, key, "only a single certificate"},
		{append(cert, old.pem...), otherKey, "the private key is another one's"},
		{append(foreign, old.pem...), foreignKey, "new CA cert cannot be verified"},
		{append(foreign, stranger.pem...), foreignKey, "old CA cert cannot be verified"},
		{[]byte("nonsense"), key, "no PEM data"},
	} {
		files := map[string][]byte{"tls/server-ca.crt": given.bundle}
		if given.key != nil {
			files["tls/server-ca.key"] = given.key
		}
		got := ""
		if err := checkAuthorities(present, files); err != nil {
			got = err.Error()
		}
		if (given.want == "") != (got == "") || !strings.Contains(got, given.want) {
			t.Errorf("checkAuthorities = %q, want %q", got, given.want)
		}
	}
	if err := checkAuthorities(present, map[string][]byte{"../x": nil}); err == nil {
		t.Error("a strange file was taken")
	}
}

func TestAServerTakesUpOtherAuthoritiesAtItsStart(t *testing.T) {
	c := &config{dataDir: t.TempDir()}
	secrets := serverSecrets{server: "right", agent: "right"}
	for _, name := range bootstrapPaths {
		if err := writeFile(c.serverDir(name), []byte("of the cluster"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ctx := context.Background()
	err := withKine(ctx, c, func(client *clientv3.Client) error {
		for range 2 { // once it is stored, once it is compared
			if rotated, err := reconcileIdentity(ctx, c, secrets); err != nil || rotated {
				t.Errorf("reconcileIdentity = %t, %v", rotated, err)
			}
		}
		files, err := readBootstrapFiles(c.serverDir())
		if err != nil {
			return err
		}
		files["tls/client-ca.crt"] = []byte("another one")
		if err := storeIdentity(ctx, client, files, secrets, c.clusterSettings()); err != nil {
			return err
		}
		if rotated, err := reconcileIdentity(ctx, c, secrets); err != nil || !rotated {
			t.Errorf("reconcileIdentity = %t, %v", rotated, err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if data, err := os.ReadFile(c.serverDir("tls/client-ca.crt")); err != nil || string(data) != "another one" {
		t.Errorf("client-ca.crt = %q, %v", data, err)
	}
}
