package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sirupsen/logrus"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// The older way to another key, in three steps between which all servers are
// restarted: the new key is known everywhere before anything is written with it,
// and the old one is forgotten once nothing is.

// reencryptTimeout is for all secrets of a cluster; k3s writes about five each second.
const reencryptTimeout = 10 * time.Minute

var serverSelector = metav1.ListOptions{LabelSelector: "node-role.kubernetes.io/control-plane=true"}

func nextEncryptionKey() encryptionKey {
	return newEncryptionKey("aescbckey-" + time.Now().UTC().Format(time.RFC3339))
}

// prepareKey adds a key that can only be read with.
func (s *supervisor) prepareKey(ctx context.Context, force bool) error {
	return s.changeKeys(ctx, force, []string{stageStart, stageFinished}, stagePrepare, func(keys []encryptionKey) []encryptionKey {
		return append(keys, nextEncryptionKey())
	})
}

// rotateToNewKey has it written with from now on.
func (s *supervisor) rotateToNewKey(ctx context.Context, force bool) error {
	return s.changeKeys(ctx, force, []string{stagePrepare}, stageRotate, func(keys []encryptionKey) []encryptionKey {
		last := len(keys) - 1
		return append([]encryptionKey{keys[last]}, keys[:last]...)
	})
}

func (s *supervisor) changeKeys(ctx context.Context, force bool, from []string, to string, change func([]encryptionKey) []encryptionKey) error {
	if err := s.requireStage(ctx, force, from); err != nil {
		return err
	}
	current, err := readEncryption(s.ServerDir)
	if err != nil {
		return err
	}
	current.keys = change(current.keys)
	if err := s.loadEncryption(ctx, current); err != nil {
		return err
	}
	return s.endStage(ctx, to)
}

// beginReencryption writes all secrets anew, which goes on behind the answer.
func (s *supervisor) beginReencryption(ctx context.Context, force, skip bool) error {
	if err := s.requireStage(ctx, force, []string{stageRotate}); err != nil {
		return err
	}
	if err := annotateEncryption(ctx, s.passwords.client, s.NodeName, s.ServerDir, stageRequest); err != nil {
		return err
	}
	work, cancel := context.WithTimeout(context.WithoutCancel(ctx), reencryptTimeout)
	go func() {
		defer cancel()
		if err := s.reencrypt(work, skip); err != nil {
			logrus.Errorf("Failed to reencrypt secrets: %v", err)
		}
	}()
	return nil
}

func (s *supervisor) reencrypt(ctx context.Context, skip bool) error {
	if err := annotateEncryption(ctx, s.passwords.client, s.NodeName, s.ServerDir, stageActive); err != nil {
		return err
	}
	if err := s.writeSecretsAnew(ctx); err != nil {
		return err
	}
	current, err := readEncryption(s.ServerDir)
	if err != nil {
		return err
	}
	if !skip {
		current.keys = current.keys[:1]
	}
	if err := current.write(s.ServerDir); err != nil {
		return err
	}
	return s.endStage(ctx, stageFinished)
}

func (s *supervisor) requireStage(ctx context.Context, force bool, allowed []string) error {
	nodes, err := s.passwords.client.CoreV1().Nodes().List(ctx, serverSelector)
	if err != nil || force {
		return err
	}
	return checkStages(nodes.Items, allowed)
}

// checkStages wants all servers at one of these stages, with one configuration.
func checkStages(servers []corev1.Node, allowed []string) error {
	for _, server := range servers {
		annotation, told := server.Annotations[encryptionAnnotation]
		if !told {
			return fmt.Errorf("missing annotation on node %s", server.Name)
		}
		if stage, _, _ := strings.Cut(annotation, "-"); !slices.Contains(allowed, stage) {
			return fmt.Errorf("incorrect stage: %s found on node %s", stage, server.Name)
		}
	}
	if _, mismatch := compareHashes(servers); mismatch != "" {
		return errors.New(mismatch)
	}
	return nil
}

// stageAtStart is that of another server whose configuration this one has taken up, else its own.
func stageAtStart(node *corev1.Node, hash string, servers []corev1.Node) string {
	own, ownHash, told := strings.Cut(node.Annotations[encryptionAnnotation], "-")
	if !told {
		own = stageStart
	}
	if ownHash == hash {
		return own
	}
	for _, server := range servers {
		if stage, theirs, _ := strings.Cut(server.Annotations[encryptionAnnotation], "-"); theirs == hash {
			return stage
		}
	}
	return own
}
