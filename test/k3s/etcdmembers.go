package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/sirupsen/logrus"
	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

const memberRemovalTimeout = time.Minute

// Annotations by which a server's Node names its etcd member.
const (
	etcdNameAnnotation    = "etcd.k3s.cattle.io/node-name"
	etcdAddressAnnotation = "etcd.k3s.cattle.io/node-address"
	// Set to "true" by a person who wants the member out while its server still runs.
	etcdRemoveAnnotation = "etcd.k3s.cattle.io/remove"
	// The member that was taken out so.
	etcdRemovedAnnotation = "etcd.k3s.cattle.io/removed-node-name"
)

// etcdJoinFile holds the client URLs of the members to join through, until we are a member.
func (c *config) etcdJoinFile() string { return c.serverDir("cred", "etcd-join") }

func readEtcdJoin(c *config) (urls []string, err error) {
	data, err := os.ReadFile(c.etcdJoinFile())
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return urls, json.Unmarshal(data, &urls)
}

// joinEtcd adds this machine as a learner, which cannot cost the cluster its
// quorum, starts it, and has it promoted once it has caught up.
func joinEtcd(ctx context.Context, c *config, joinURLs []string, name string, start func(etcdStart) error) error {
	client, err := newEtcdClient(ctx, c, joinURLs...)
	if err != nil {
		return err
	}
	defer client.Close()
	members, id, err := addLearner(ctx, client, c.nodeName, name, etcdPeerURL(c.nodeIP()))
	if err != nil {
		return fmt.Errorf("ETCD join failed: %w", err)
	}
	if err := start(etcdStart{members: members, existing: true}); err != nil {
		return err
	}
	err = poll(ctx, func() bool {
		ctx, cancel := context.WithTimeout(ctx, etcdCallTimeout)
		defer cancel()
		_, err := client.MemberPromote(ctx, id)
		return err == nil || errors.Is(err, rpctypes.ErrMemberNotLearner)
	})
	if err != nil {
		return err
	}
	logrus.Infof("Promoted learner %s", name)
	return os.Remove(c.etcdJoinFile())
}

// addLearner returns the members in etcd's form, and our member id. An attempt
// that was interrupted after the add is picked up, not repeated.
func addLearner(ctx context.Context, client *clientv3.Client, node, name, peerURL string) (string, uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, etcdCallTimeout)
	defer cancel()
	list, err := client.MemberList(ctx)
	if err != nil {
		return "", 0, err
	}
	members, id, err := ownMember(list.Members, node, name, peerURL)
	if err != nil {
		return "", 0, err
	}
	if id == 0 {
		added, err := client.MemberAddAsLearner(ctx, []string{peerURL})
		if err != nil {
			return "", 0, err
		}
		members, id = added.Members, added.Member.ID
	}
	return initialCluster(members, id, name), id, nil
}

// ownMember finds the member that an earlier attempt of this machine added, 0 if
// there is none, and refuses a node name that another member has.
func ownMember(members []*etcdserverpb.Member, node, name, peerURL string) ([]*etcdserverpb.Member, uint64, error) {
	var id uint64
	for _, member := range members {
		memberNode := member.Name
		if last := strings.LastIndex(member.Name, "-"); last > 0 {
			memberNode = member.Name[:last]
		}
		if member.Name != name && memberNode == node {
			return nil, 0, errors.New("duplicate node name found, please use a unique name for this node")
		}
		// One that was added and never started has no name yet.
		if (member.Name == name || member.Name == "") && slices.Contains(member.PeerURLs, peerURL) {
			id = member.ID
		}
	}
	return members, id, nil
}

func initialCluster(members []*etcdserverpb.Member, own uint64, ownName string) string {
	var initial []string
	for _, member := range members {
		name := member.Name
		if member.ID == own {
			name = ownName
		}
		for _, peer := range member.PeerURLs {
			initial = append(initial, name+"="+peer)
		}
	}
	return strings.Join(initial, ",")
}

// etcdAnnotations are what this server's Node says of its member.
func etcdAnnotations(c *config) (map[string]string, error) {
	name, err := etcdMemberName(c)
	if err != nil {
		return nil, err
	}
	return map[string]string{etcdNameAnnotation: name, etcdAddressAnnotation: c.nodeIP()}, nil
}

// keepRemovingMember tries for a while, as k3s does: etcd gives no member up
// that has joined within the last seconds, or while another one is away.
func keepRemovingMember(ctx context.Context, c *config, node *corev1.Node) {
	if node.Annotations[etcdAddressAnnotation] == c.nodeIP() {
		logrus.Info("not removing self from etcd cluster")
		return
	}
	ctx, cancel := context.WithTimeout(ctx, memberRemovalTimeout)
	defer cancel()
	what := "Failed to remove etcd member of node " + node.Name
	if err := retry(ctx, joinRetry, what, func() error { return removeMember(ctx, c, node) }); err != nil {
		logrus.Errorf("%s: %v", what, err)
	}
}

// removalStep is what k3s does by the annotations of a Node: it takes the member out,
// and then notes its name; once the server has joined anew, the note is about another member.
func removalStep(annotations map[string]string) (remove bool, patch map[string]any) {
	wanted, asked := annotations[etcdRemoveAnnotation]
	name, member := annotations[etcdNameAnnotation]
	removed, noted := annotations[etcdRemovedAnnotation]
	switch {
	case !asked, !member:
		return false, nil
	case noted && name != removed:
		return false, map[string]any{etcdRemovedAnnotation: nil, etcdRemoveAnnotation: "false"}
	case noted, !strings.EqualFold(wanted, "true"):
		return false, nil
	}
	return true, map[string]any{etcdRemovedAnnotation: name, etcdNameAnnotation: nil, etcdAddressAnnotation: nil}
}

// removeOnRequest is done by each server, the one that is to go as well: it may be the
// one that k3s has chosen for it, and then loses its API in the middle.
func removeOnRequest(ctx context.Context, c *config, client kubernetes.Interface, node *corev1.Node) {
	remove, patch := removalStep(node.Annotations)
	if patch == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, memberRemovalTimeout)
	defer cancel()
	what := "Failed to remove etcd member of node " + node.Name
	err := retry(ctx, joinRetry, what, func() error {
		if remove {
			if err := removeMember(ctx, c, node); err != nil {
				return err
			}
		}
		data, err := json.Marshal(map[string]any{"metadata": map[string]any{"annotations": patch}})
		if err != nil {
			return err
		}
		_, err = client.CoreV1().Nodes().Patch(ctx, node.Name, mergePatch, data, metav1.PatchOptions{})
		return err
	})
	if err != nil {
		logrus.Errorf("%s: %v", what, err)
	}
}

// removeMember takes the member of a Node that was deleted out of etcd. Each of
// the other servers tries; the first one does it.
func removeMember(ctx context.Context, c *config, node *corev1.Node) error {
	name, address := node.Annotations[etcdNameAnnotation], node.Annotations[etcdAddressAnnotation]
	if name == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, etcdCallTimeout)
	defer cancel()
	client, err := newEtcdClient(ctx, c, localEtcdURLs...)
	if err != nil {
		return err
	}
	defer client.Close()
	list, err := client.MemberList(ctx)
	if err != nil {
		return err
	}
	for _, member := range list.Members {
		if member.Name != name || !hasPeerHost(member, address) {
			continue
		}
		logrus.Infof("Removing name=%s id=%d address=%s from etcd", member.Name, member.ID, address)
		_, err := client.MemberRemove(ctx, member.ID)
		if err != nil && !errors.Is(err, rpctypes.ErrMemberNotFound) {
			return err
		}
	}
	return nil
}

func hasPeerHost(member *etcdserverpb.Member, host string) bool {
	return slices.ContainsFunc(member.PeerURLs, func(peer string) bool {
		parsed, err := url.Parse(peer)
		return err == nil && parsed.Hostname() == host
	})
}

// memberURLs are where further servers may reach etcd: all members that vote.
func memberURLs(ctx context.Context, client *clientv3.Client) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, etcdCallTimeout)
	defer cancel()
	list, err := client.MemberList(ctx)
	if err != nil {
		return nil, err
	}
	var urls []string
	for _, member := range list.Members {
		if !member.IsLearner {
			urls = append(urls, member.ClientURLs...)
		}
	}
	return urls, nil
}
