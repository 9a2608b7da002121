package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/sirupsen/logrus"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// registryPrefix is where the API server keeps its objects.
const registryPrefix = "/registry/"

// migrateFromSQLite moves a lone server's objects into the etcd that was just
// started, once: afterwards the old file has another name.
func migrateFromSQLite(ctx context.Context, c *config) error {
	if !hasSQLiteData(c) {
		return nil
	}
	logrus.Info("Migrating content from sqlite to etcd")
	etcd, err := newEtcdClient(ctx, c, localEtcdURLs...)
	if err != nil {
		return err
	}
	defer etcd.Close()
	if err := withKine(ctx, c, func(sqlite *clientv3.Client) error { return copyObjects(ctx, sqlite, etcd) }); err != nil {
		return fmt.Errorf("failed to migrate content from sqlite to etcd: %w", err)
	}
	return os.Rename(c.sqliteFile(), c.sqliteFile()+".migrated")
}

// withKine serves the SQLite file to use, and to nobody else.
func withKine(ctx context.Context, c *config, use func(*clientv3.Client) error) (err error) {
	kineCtx, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- serveKine(kineCtx, c.sqliteFile(), c.kineSocket()) }()
	defer func() {
		stop()
		err = errors.Join(err, <-ended)
	}()
	client, err := newKineClient(kineCtx, c)
	if err != nil {
		return err
	}
	defer client.Close()
	return use(client)
}

func newKineClient(ctx context.Context, c *config) (*clientv3.Client, error) {
	return clientv3.New(clientv3.Config{Context: ctx, Endpoints: []string{"unix://" + c.kineSocket()}, DialTimeout: etcdCallTimeout})
}

func copyObjects(ctx context.Context, from, to *clientv3.Client) error {
	objects, err := from.Get(ctx, registryPrefix, clientv3.WithPrefix())
	if err != nil {
		return err
	}
	for _, object := range objects.Kvs {
		logrus.Infof("Migrating etcd key %s", object.Key)
		if _, err := to.Put(ctx, string(object.Key), string(object.Value)); err != nil {
			return err
		}
	}
	return nil
}
