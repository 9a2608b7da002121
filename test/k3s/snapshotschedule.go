package main

import (
	"context"
	"fmt"
	"time"

	"github.com/robfig/cron/v3"
	"github.com/sirupsen/logrus"
	"github.com/spf13/pflag"
)

// snapshotSchedule is what a server with etcd does by itself, with k3s's flags and values.
type snapshotSchedule struct {
	disabled, compress  bool
	schedule, name, dir string
	retention           int
}

func (s *snapshotSchedule) bind(fs *pflag.FlagSet) {
	fs.BoolVar(&s.disabled, "etcd-disable-snapshots", false, "Disable automatic etcd snapshots")
	fs.StringVar(&s.schedule, "etcd-snapshot-schedule-cron", "0 */12 * * *", "Snapshot interval time in cron spec")
	fs.StringVar(&s.name, "etcd-snapshot-name", "etcd-snapshot", "Start of the snapshots' file names")
	fs.StringVar(&s.dir, "etcd-snapshot-dir", "", "Directory of snapshots (default: server/db/snapshots in the data dir)")
	fs.IntVar(&s.retention, "etcd-snapshot-retention", 5, "Number of snapshots to keep")
	fs.BoolVar(&s.compress, "etcd-snapshot-compress", false, "Compress snapshots")
}

// start saves a snapshot at each time of the schedule, and prunes those of its name. Nothing on SQLite.
func (s *snapshotSchedule) start(ctx context.Context, c *config) error {
	if s.disabled || !c.usesEtcd() {
		return nil
	}
	schedule, err := cron.ParseStandard(s.schedule)
	if err != nil {
		return fmt.Errorf("failed to parse etcd snapshot schedule: %w", err)
	}
	options := snapshotOptions{config: c, name: s.name, dir: s.dir, compress: s.compress, retention: s.retention}
	if err := options.complete(); err != nil {
		return err
	}
	go everyTime(ctx, schedule, func() {
		if err := options.save(); err != nil {
			logrus.Errorf("Failed to take etcd snapshot: %v", err)
			return
		}
		if err := options.prune(); err != nil {
			logrus.Errorf("Failed to prune etcd snapshots: %v", err)
		}
	})
	return nil
}

func everyTime(ctx context.Context, schedule cron.Schedule, work func()) {
	for ctx.Err() == nil {
		now := time.Now()
		timer := time.NewTimer(schedule.Next(now).Sub(now))
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
			work()
		}
	}
}
