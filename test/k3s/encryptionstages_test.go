package main

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func serverAt(name, annotation string) corev1.Node {
	node := corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}}
	if annotation != "" {
		node.Annotations = map[string]string{encryptionAnnotation: annotation}
	}
	return node
}

func TestAStepWantsAllServersAtTheOneBefore(t *testing.T) {
	for _, given := range []struct {
		servers []corev1.Node
		want    string
	}{
		{[]corev1.Node{serverAt("a", "prepare-1"), serverAt("b", "prepare-1")}, ""},
		{[]corev1.Node{serverAt("a", "prepare-1"), serverAt("b", "start-1")}, "incorrect stage: start found on node b"},
		{[]corev1.Node{serverAt("a", "prepare-1"), serverAt("b", "prepare-2")}, "hash does not match between a and b"},
		{[]corev1.Node{serverAt("a", "")}, "missing annotation on node a"},
	} {
		got := ""
		if err := checkStages(given.servers, []string{stagePrepare}); err != nil {
			got = err.Error()
		}
		if got != given.want {
			t.Errorf("checkStages = %q, want %q", got, given.want)
		}
	}
}

func TestAServerTakesUpTheStageWithTheConfiguration(t *testing.T) {
	servers := []corev1.Node{serverAt("a", "prepare-2"), serverAt("b", "start-1")}
	for _, given := range []struct {
		node       corev1.Node
		hash, want string
	}{
		{serverAt("b", "start-1"), "2", stagePrepare},
		{serverAt("b", "start-1"), "1", stageStart},
		{serverAt("b", "rotate-1"), "3", stageRotate},
		{serverAt("c", ""), "1", stageStart},
	} {
		if got := stageAtStart(&given.node, given.hash, servers); got != given.want {
			t.Errorf("stageAtStart(%v, %s) = %s, want %s", given.node.Annotations, given.hash, got, given.want)
		}
	}
}
