package main

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

func TestPruneKeepsTheNewestOfOneName(t *testing.T) {
	o := &snapshotOptions{config: &config{nodeName: "n"}, dir: t.TempDir(), name: "on-demand", retention: 2}
	for i, name := range []string{"on-demand-n-1", "on-demand-n-2", "other-n-3", "on-demand-n-4", "on-demand-n-5.zip", "on-demand-n-6.part"} {
		path := filepath.Join(o.dir, name)
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		when := time.Unix(int64(1000+i), 0)
		if err := os.Chtimes(path, when, when); err != nil {
			t.Fatal(err)
		}
	}
	if err := o.prune(); err != nil {
		t.Fatal(err)
	}
	files, err := o.files()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, file := range files {
		names = append(names, file.Name)
	}
	want := []string{"other-n-3", "on-demand-n-4", "on-demand-n-5.zip"}
	if !slices.Equal(names, want) {
		t.Errorf("kept %q, want %q", names, want)
	}
	if err := o.delete([]string{"../x"}); err == nil {
		t.Error("a path was taken for a name")
	}
}
