package main

import (
	"os"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestEncryptionConfigIsReadAsItWasWritten(t *testing.T) {
	dir := t.TempDir()
	if _, err := readEncryption(dir); !os.IsNotExist(err) {
		t.Errorf("no configuration: %v", err)
	}
	if err := ensureEncryptionConfig(dir, false); err != nil || hasEncryptionConfig(dir) {
		t.Errorf("a configuration that nobody wanted: %v", err)
	}
	if err := ensureEncryptionConfig(dir, true); err != nil {
		t.Fatal(err)
	}
	first, err := readEncryption(dir)
	if err != nil || !first.enabled || len(first.keys) != 1 || first.keys[0].Name != "aescbckey" {
		t.Fatalf("readEncryption = %+v, %v", first, err)
	}
	wanted := encryption{enabled: false, keys: []encryptionKey{newEncryptionKey("new"), first.keys[0]}}
	if err := wanted.write(dir); err != nil {
		t.Fatal(err)
	}
	got, err := readEncryption(dir)
	if err != nil || got.enabled || len(got.keys) != 2 || got.keys[0] != wanted.keys[0] || got.keys[1] != first.keys[0] {
		t.Errorf("readEncryption = %+v, %v; want %+v", got, err, wanted)
	}
}

func TestServersWithOtherKeysAreNamed(t *testing.T) {
	server := func(name, annotation string) corev1.Node {
		return corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Annotations: map[string]string{encryptionAnnotation: annotation}}}
	}
	same := []corev1.Node{server("a", "reencrypt_finished-1"), server("b", "start-1")}
	if stage, mismatch := compareHashes(same); stage != stageFinished || mismatch != "" {
		t.Errorf("compareHashes = %q, %q", stage, mismatch)
	}
	other := []corev1.Node{server("a", "start-1"), server("b", "start-2")}
	if _, mismatch := compareHashes(other); mismatch != "hash does not match between a and b" {
		t.Errorf("compareHashes = %q", mismatch)
	}
}
