package main

import (
	"maps"
	"testing"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
)

func TestDataOnDiskDecideOverTheDatastore(t *testing.T) {
	c := &config{dataDir: t.TempDir()}
	if c.usesEtcd() {
		t.Error("a lone server without data is on SQLite")
	}
	if err := writeFile(c.etcdDir("member", "x"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if !c.usesEtcd() {
		t.Error("etcd's data were ignored")
	}
	for _, c := range []*config{{clusterInit: true}, {serverURL: "https://192.0.2.1:6443"}} {
		if c.dataDir = t.TempDir(); !c.usesEtcd() {
			t.Errorf("no etcd for %+v", c)
		}
	}
}

func TestANodeNameIsOfOneMember(t *testing.T) {
	members := []*etcdserverpb.Member{
		{ID: 1, Name: "a-11111111", PeerURLs: []string{"https://192.0.2.1:2380"}},
		{ID: 2, Name: "", PeerURLs: []string{"https://192.0.2.2:2380"}},
	}
	if _, _, err := ownMember(members, "a", "a-22222222", "https://192.0.2.9:2380"); err == nil {
		t.Error("a taken node name was accepted")
	}
	for peer, want := range map[string]uint64{"https://192.0.2.2:2380": 2, "https://192.0.2.3:2380": 0} {
		if _, id, err := ownMember(members, "b", "b-11111111", peer); err != nil || id != want {
			t.Errorf("ownMember(%s) = %d, %v; want %d", peer, id, err, want)
		}
	}
	if got := initialCluster(members, 2, "b-11111111"); got != "a-11111111=https://192.0.2.1:2380,b-11111111=https://192.0.2.2:2380" {
		t.Errorf("initialCluster = %s", got)
	}
}

func TestAMemberIsTakenOutOnceByItsAnnotation(t *testing.T) {
	const name, address, remove, removed = etcdNameAnnotation, etcdAddressAnnotation, etcdRemoveAnnotation, etcdRemovedAnnotation
	for what, test := range map[string]struct {
		annotations map[string]string
		remove      bool
		patch       map[string]any
	}{
		"not asked":    {map[string]string{name: "a-1"}, false, nil},
		"asked":        {map[string]string{name: "a-1", remove: "True"}, true, map[string]any{removed: "a-1", name: nil, address: nil}},
		"taken back":   {map[string]string{name: "a-1", remove: "false"}, false, nil},
		"done":         {map[string]string{remove: "true", removed: "a-1"}, false, nil},
		"joined anew":  {map[string]string{name: "a-2", remove: "true", removed: "a-1"}, false, map[string]any{removed: nil, remove: "false"}},
		"no etcd here": {map[string]string{remove: "true"}, false, nil},
	} {
		if remove, patch := removalStep(test.annotations); remove != test.remove || !maps.Equal(patch, test.patch) {
			t.Errorf("%s: %v, %v", what, remove, patch)
		}
	}
}
