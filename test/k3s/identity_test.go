package main

import (
	"context"
	"errors"
	"os"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"
)

func TestIdentityIsReadWithTheTokenItWasSealedWith(t *testing.T) {
	c := &config{dataDir: t.TempDir()}
	ctx := context.Background()
	err := withKine(ctx, c, func(client *clientv3.Client) error {
		if found, err := readIdentity(ctx, client, "right"); err != nil || found != nil {
			t.Errorf("an empty datastore has an identity: %s, %v", found, err)
		}
		for _, plain := range []string{"an older one", "a cluster"} {
			sealed, err := seal("right", []byte(plain))
			if err != nil {
				return err
			}
			if err := replace(ctx, client, identityKey("right"), string(sealed)); err != nil {
				return err
			}
		}
		if found, err := readIdentity(ctx, client, "right"); err != nil || string(found) != "a cluster" {
			t.Errorf("readIdentity = %q, %v", found, err)
		}
		if _, err := readIdentity(ctx, client, "wrong"); !errors.Is(err, errOtherToken) {
			t.Errorf("another token: %v", err)
		}
		if err := removeIdentity(ctx, client, "right"); err != nil {
			return err
		}
		if found, err := readIdentity(ctx, client, "wrong"); err != nil || found != nil {
			t.Errorf("it was not removed: %s, %v", found, err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if !hasSQLiteData(c) {
		t.Error("there is no SQLite file")
	}
	if _, err := unseal("right", []byte("short")); err == nil {
		t.Error("nonsense was unsealed")
	}
}

func TestAServerTakesUpTheKeysThatAnotherOneHasChanged(t *testing.T) {
	c := &config{dataDir: t.TempDir()}
	secrets := serverSecrets{server: "right", agent: "right"}
	for _, name := range bootstrapPaths {
		if err := writeFile(c.serverDir(name), []byte("of the cluster"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	keys := c.serverDir(encryptionConfig)
	if err := os.Remove(keys); err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	err := withKine(ctx, c, func(*clientv3.Client) error {
		// Stored by the first server, and once more when encryption is turned on.
		if _, err := reconcileIdentity(ctx, c, secrets); err != nil {
			return err
		}
		if err := writeFile(keys, []byte("of the cluster"), 0o600); err != nil {
			return err
		}
		if _, err := reconcileIdentity(ctx, c, secrets); err != nil {
			return err
		}
		if err := writeFile(keys, []byte("older"), 0o600); err != nil {
			return err
		}
		if _, err := reconcileIdentity(ctx, c, secrets); err != nil {
			return err
		}
		if found, err := os.ReadFile(keys); err != nil || string(found) != "of the cluster" {
			t.Errorf("its keys are %q, %v", found, err)
		}
		if _, err := reconcileIdentity(ctx, c, serverSecrets{server: "wrong"}); !errors.Is(err, errOtherToken) {
			t.Errorf("another token: %v", err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
