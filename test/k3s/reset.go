package main

import (
	"archive/zip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/sirupsen/logrus"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/etcdutl/v3/snapshot"
	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// resetFlag guards against a second reset by accident; the next ordinary start removes it.
func (c *config) resetFlag() string { return c.serverDir("db", "reset-flag") }

// resetCluster is `k3s server --cluster-reset`: etcd forgets all members but
// this one, on its own data or on a snapshot's, and k3s ends.
func resetCluster(ctx context.Context, c *config, group *processGroup) error {
	_, err := os.Stat(c.resetFlag())
	switch {
	case c.restorePath != "":
		if err := restoreSnapshot(c); err != nil {
			return err
		}
	case err == nil:
		return fmt.Errorf("Managed etcd cluster membership was previously reset, please remove the cluster-reset flag and start k3s normally. "+
			"If you need to perform another cluster reset, you must first manually delete the %s file", c.resetFlag())
	case !hasEtcdData(c):
		return fmt.Errorf("etcd database not found in %s", c.serverDir())
	}
	if err := restoreIdentity(ctx, c); err != nil {
		return err
	}
	if err := ensureServerCertificates(c); err != nil {
		return err
	}
	name, err := newEtcdMemberName(c)
	if err != nil {
		return err
	}
	if err := writeFile(c.resetFlag(), nil, 0o600); err != nil {
		return err
	}
	how := etcdStart{members: name + "=" + etcdPeerURL(c.nodeIP()), forceNew: true}
	if err := runEtcd(c, group, name, how); err != nil {
		return err
	}
	if err := waitForLoneMember(ctx, c); err != nil {
		return err
	}
	logrus.Info("Managed etcd cluster membership has been reset, restart without --cluster-reset flag now. " +
		"Backup and delete ${datadir}/server/db on each peer etcd server and rejoin the nodes")
	return nil
}

// waitForLoneMember also gives the member its address: the data may be of another machine.
func waitForLoneMember(ctx context.Context, c *config) error {
	client, err := newEtcdClient(ctx, c, localEtcdURLs...)
	if err != nil {
		return err
	}
	defer client.Close()
	return poll(ctx, func() bool {
		ctx, cancel := context.WithTimeout(ctx, etcdCallTimeout)
		defer cancel()
		list, err := client.MemberList(ctx)
		if err != nil || len(list.Members) != 1 {
			return false
		}
		_, err = client.MemberUpdate(ctx, list.Members[0].ID, []string{etcdPeerURL(c.nodeIP())})
		return err == nil
	})
}

// restoreSnapshot makes etcd's data out of c.restorePath; those there were are set aside.
func restoreSnapshot(c *config) error {
	info, err := os.Stat(c.restorePath)
	if errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("etcd: snapshot path does not exist: %s", c.restorePath)
	}
	if err != nil {
		return err
	}
	if info.IsDir() {
		return fmt.Errorf("etcd: snapshot path must be a file, not a directory: %s", c.restorePath)
	}
	path := c.restorePath
	if strings.HasSuffix(path, snapshotZip) {
		if path, err = unzipSnapshot(path); err != nil {
			return err
		}
		defer os.Remove(path)
	}
	if err := setAsideEtcdData(c); err != nil {
		return err
	}
	name := c.nodeName + "-" + randomHex(4)
	return snapshot.NewV3(zap.NewNop()).Restore(snapshot.RestoreConfig{
		SnapshotPath: path, Name: name, OutputDataDir: c.etcdDir(), OutputWALDir: c.etcdDir("member", "wal"),
		PeerURLs: []string{etcdPeerURL(c.nodeIP())}, InitialCluster: name + "=" + etcdPeerURL(c.nodeIP()),
	})
}

func unzipSnapshot(path string) (string, error) {
	archive, err := zip.OpenReader(path)
	if err != nil {
		return "", err
	}
	defer archive.Close()
	if len(archive.File) != 1 {
		return "", fmt.Errorf("%s holds %d files, not one snapshot", path, len(archive.File))
	}
	packed, err := archive.File[0].Open()
	if err != nil {
		return "", err
	}
	defer packed.Close()
	out, err := os.CreateTemp(filepath.Dir(path), "restore-")
	if err != nil {
		return "", err
	}
	defer out.Close()
	_, err = io.Copy(out, packed)
	return out.Name(), err
}

// finishReset runs at the first ordinary start after a reset: the password that
// the snapshot has for this node may be an older one.
func finishReset(ctx context.Context, c *config) error {
	if _, err := os.Stat(c.resetFlag()); err != nil {
		return nil
	}
	client, err := clientFromKubeconfig(c.serverDir("cred", "admin.kubeconfig"))
	if err != nil {
		return err
	}
	err = client.CoreV1().Secrets(metav1.NamespaceSystem).Delete(ctx, c.nodeName+nodePasswordSuffix, metav1.DeleteOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return err
	}
	return os.Remove(c.resetFlag())
}

// withPlainEtcd serves a copy of etcd's data on loopback without TLS, for a machine that
// has the data and no certificates yet, as k3s does on the same ports.
func withPlainEtcd(ctx context.Context, c *config, use func(*clientv3.Client) error) error {
	const clientURL, peerURL = "http://127.0.0.1:2399", "http://127.0.0.1:2400"
	copied, err := os.MkdirTemp(c.serverDir("db"), "etcd-tmp-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(copied)
	if err := os.CopyFS(copied, os.DirFS(c.etcdDir())); err != nil {
		return err
	}
	settings := embed.NewConfig()
	settings.Name, settings.Dir = c.nodeName, copied
	settings.ForceNewCluster = true
	settings.LogLevel = "error"
	if settings.ListenClientUrls, err = parseURLs(clientURL); err != nil {
		return err
	}
	if settings.ListenPeerUrls, err = parseURLs(peerURL); err != nil {
		return err
	}
	settings.AdvertiseClientUrls, settings.AdvertisePeerUrls = settings.ListenClientUrls, settings.ListenPeerUrls
	settings.InitialCluster = settings.InitialClusterFromName(settings.Name)
	etcd, err := embed.StartEtcd(settings)
	if err != nil {
		return err
	}
	defer etcd.Close()
	client, err := clientv3.New(clientv3.Config{Context: ctx, Endpoints: []string{clientURL}, DialTimeout: etcdCallTimeout})
	if err != nil {
		return err
	}
	defer client.Close()
	return use(client)
}

func parseURLs(raw string) ([]url.URL, error) {
	parsed, err := url.Parse(raw)
	if err != nil {
		return nil, err
	}
	return []url.URL{*parsed}, nil
}
