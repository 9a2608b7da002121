package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/k3s-io/kine/pkg/drivers"
	"github.com/k3s-io/kine/pkg/drivers/sqlite"
	kineserver "github.com/k3s-io/kine/pkg/server"
	"github.com/spf13/pflag"
	"go.etcd.io/etcd/server/v3/embed"
	"google.golang.org/grpc"
	"google.golang.org/grpc/keepalive"
)

const (
	// sqliteParams are k3s's; without fsync for tests that can lose a machine's power.
	sqliteParams         = "_journal_mode=WAL&_busy_timeout=30000&_synchronous=%s&_txlock=immediate&_stmt_cache_size=20"
	kineNotifyInterval   = 5 * time.Second
	kineEtcdVersion      = "3.6.11" // what it says to the API server, which looks for features by it
	kineStopGrace        = time.Second
	kineMaxRequestBytes  = embed.DefaultMaxRequestBytes + 512<<10
	kineCompactTimeout   = 5 * time.Second
	kineCompactMinRetain = 1000
	kineBatchSize        = 500
)

// sqliteFile is the datastore of a lone server; kineSocket is where etcd's API is served from it.
func (c *config) sqliteFile() string { return c.serverDir("db", "state.db") }
func (c *config) kineSocket() string { return c.serverDir("kine.sock") }

func hasSQLiteData(c *config) bool {
	_, err := os.Stat(c.sqliteFile())
	return err == nil
}

// kineComponent is the hidden subcommand "kine": etcd's API on a unix socket, out of an SQLite file.
func kineComponent(_ string, args []string) error {
	var database, socket string
	flags := pflag.NewFlagSet("kine", pflag.ContinueOnError)
	flags.StringVar(&database, "database", "", "SQLite file")
	flags.StringVar(&socket, "socket", "", "unix socket to listen on")
	if err := flags.Parse(args); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	return serveKine(ctx, database, socket)
}

func startKine(c *config, group *processGroup) error {
	return group.startComponent("kine", "--database="+c.sqliteFile(), "--socket="+c.kineSocket())
}

// serveKine returns when ctx ends. It is k3s's kine with its SQLite driver
// alone: kine's own entry point would link five more databases.
func serveKine(ctx context.Context, database, socket string) error {
	if err := os.MkdirAll(filepath.Dir(database), 0o700); err != nil {
		return err
	}
	synchronous := "NORMAL"
	if os.Getenv("K3S_TEST_UNSAFE_NO_FSYNC") == "1" {
		synchronous = "OFF"
	}
	// The database outlives ctx until nobody is being answered any more.
	backendCtx, stopBackend := context.WithCancel(context.WithoutCancel(ctx))
	var work sync.WaitGroup
	defer work.Wait()
	defer stopBackend()
	_, backend, err := sqlite.New(backendCtx, &work, &drivers.Config{
		DataSourceName: database + "?" + fmt.Sprintf(sqliteParams, synchronous),
		CompactTimeout: kineCompactTimeout, CompactMinRetain: kineCompactMinRetain,
		CompactBatchSize: kineBatchSize, PollBatchSize: kineBatchSize,
	})
	if err != nil {
		return err
	}
	if err := backend.Start(backendCtx); err != nil {
		return err
	}
	listener, err := listenPrivately(socket)
	if err != nil {
		return err
	}
	rpc := grpc.NewServer(
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: embed.DefaultGRPCKeepAliveMinTime}),
		grpc.MaxRecvMsgSize(kineMaxRequestBytes),
		grpc.MaxSendMsgSize(math.MaxInt32),
	)
	kineserver.New(backend, "unix", kineNotifyInterval, kineEtcdVersion).Register(rpc)
	go func() {
		<-ctx.Done()
		// Watches never end by themselves.
		timer := time.AfterFunc(kineStopGrace, rpc.Stop)
		defer timer.Stop()
		rpc.GracefulStop()
	}()
	return rpc.Serve(listener)
}

func listenPrivately(socket string) (net.Listener, error) {
	if err := os.Remove(socket); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	listener, err := net.Listen("unix", socket)
	if err != nil {
		return nil, err
	}
	return listener, os.Chmod(socket, 0o600)
}
