package main

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/robfig/cron/v3"
)

func TestScheduleHasK3sDefaults(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := parseConfig(roleServer, []string{"--config=" + empty})
	if err != nil {
		t.Fatal(err)
	}
	want := snapshotSchedule{schedule: "0 */12 * * *", name: "etcd-snapshot", retention: 5}
	if c.snapshots != want {
		t.Errorf("snapshots = %+v, want %+v", c.snapshots, want)
	}
	if err := c.snapshots.start(context.Background(), &config{role: roleServer, dataDir: t.TempDir()}); err != nil {
		t.Errorf("on SQLite: %v", err)
	}
}

func TestScheduleThatCannotBeReadIsRefused(t *testing.T) {
	s := snapshotSchedule{schedule: "every day"}
	if err := s.start(context.Background(), &config{role: roleServer, dataDir: t.TempDir(), clusterInit: true}); err == nil {
		t.Error("it was taken")
	}
}

func TestWorkIsDoneAtEachTimeUntilTheEnd(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	count := 0
	ended := make(chan struct{})
	go func() {
		everyTime(ctx, cron.ConstantDelaySchedule{Delay: time.Millisecond}, func() {
			if count++; count == 3 {
				cancel()
			}
		})
		close(ended)
	}()
	select {
	case <-ended:
	case <-time.After(time.Minute):
		t.Fatal("it went on")
	}
	if count != 3 {
		t.Errorf("done %d times, want 3", count)
	}
}
