package main

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	clientretry "k8s.io/client-go/util/retry"
	"k8s.io/component-base/metrics/legacyregistry"
)

const (
	// encryptionConfig is relative to the server directory.
	encryptionConfig = "cred/encryption-config.json"
	// encryptionAnnotation is of each server's Node: the stage, and the hash of its configuration.
	encryptionAnnotation = "k3s.io/encryption-config-hash"

	stageStart    = "start"
	stagePrepare  = "prepare"
	stageRotate   = "rotate"
	stageRequest  = "reencrypt_request"
	stageActive   = "reencrypt_active"
	stageFinished = "reencrypt_finished"
	// stageRotateKeys is asked for, and never a state.
	stageRotateKeys = "rotate_keys"

	secretsPage = 50

	reloadPoll    = 2 * time.Second
	reloadTimeout = time.Minute
	reloadMetric  = "apiserver_encryption_config_controller_automatic_reloads_total"
)

// The file is Kubernetes' EncryptionConfiguration; only what k3s writes into it is known here.
type encryptionFile struct {
	APIVersion string               `json:"apiVersion"`
	Kind       string               `json:"kind"`
	Resources  []encryptedResources `json:"resources"`
}

type encryptedResources struct {
	Resources []string             `json:"resources"`
	Providers []encryptionProvider `json:"providers"`
}

// encryptionProvider has one of its fields.
type encryptionProvider struct {
	AESCBC   *encryptionKeys `json:"aescbc,omitempty"`
	Identity *struct{}       `json:"identity,omitempty"`
}

type encryptionKeys struct {
	Keys []encryptionKey `json:"keys"`
}

type encryptionKey struct {
	Name   string `json:"name"`
	Secret string `json:"secret"`
}

// encryption is the state of the file: the first key is the one that new secrets get.
type encryption struct {
	enabled bool
	keys    []encryptionKey
}

func hasEncryptionConfig(serverDir string) bool {
	_, err := os.Stat(filepath.Join(serverDir, encryptionConfig))
	return err == nil
}

// ensureEncryptionConfig makes the key for --secrets-encryption once.
func ensureEncryptionConfig(serverDir string, wanted bool) error {
	if !wanted || hasEncryptionConfig(serverDir) {
		return nil
	}
	return encryption{enabled: true, keys: []encryptionKey{newEncryptionKey("aescbckey")}}.write(serverDir)
}

func newEncryptionKey(name string) encryptionKey {
	return encryptionKey{Name: name, Secret: base64.StdEncoding.EncodeToString([]byte(randomHex(16)))} // 32 bytes: AES-256
}

func (e encryption) write(serverDir string) error {
	keyed, plain := encryptionProvider{AESCBC: &encryptionKeys{e.keys}}, encryptionProvider{Identity: &struct{}{}}
	providers := []encryptionProvider{keyed, plain}
	if !e.enabled {
		providers = []encryptionProvider{plain, keyed}
	}
	data, err := json.Marshal(encryptionFile{
		APIVersion: "apiserver.config.k8s.io/v1", Kind: "EncryptionConfiguration",
		Resources: []encryptedResources{{Resources: []string{"secrets"}, Providers: providers}},
	})
	if err != nil {
		return err
	}
	return writeFile(filepath.Join(serverDir, encryptionConfig), data, 0o600)
}

func readEncryption(serverDir string) (encryption, error) {
	var e encryption
	data, err := os.ReadFile(filepath.Join(serverDir, encryptionConfig))
	if err != nil {
		return e, err
	}
	var file encryptionFile
	if err := json.Unmarshal(data, &file); err != nil {
		return e, err
	}
	for _, resources := range file.Resources {
		for i, provider := range resources.Providers {
			if provider.AESCBC != nil {
				e.enabled, e.keys = i == 0, provider.AESCBC.Keys
			}
		}
	}
	if len(e.keys) == 0 {
		return e, fmt.Errorf("%s holds no key", encryptionConfig)
	}
	return e, nil
}

func hashEncryption(serverDir string) (string, error) {
	data, err := os.ReadFile(filepath.Join(serverDir, encryptionConfig))
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:]), err
}

// encryptionStatus is what `k3s secrets-encrypt status -o json` prints.
type encryptionStatus struct {
	Stage        string   `json:"stage"`
	ActiveKey    string   `json:"activekey"`
	Enable       *bool    `json:"enable,omitempty"`
	HashMatch    bool     `json:"hashmatch,omitempty"`
	HashError    string   `json:"hasherror,omitempty"`
	InactiveKeys []string `json:"inactivekeys,omitempty"`
}

// encryptionRequest changes it: one of the first two fields.
type encryptionRequest struct {
	Stage  *string `json:"stage,omitempty"`
	Enable *bool   `json:"enable,omitempty"`
	// Force goes on although a server has another stage, Skip keeps the keys that are not needed any more.
	Force bool `json:"force,omitempty"`
	Skip  bool `json:"skip,omitempty"`
}

func (s *supervisor) encryptionStatus(w http.ResponseWriter, r *http.Request) {
	status, err := s.statusOfEncryption(r.Context())
	if err != nil {
		refuse(w, r, http.StatusInternalServerError, err.Error())
		return
	}
	writeJSON(w, status)
}

func (s *supervisor) statusOfEncryption(ctx context.Context) (encryptionStatus, error) {
	var status encryptionStatus
	current, err := readEncryption(s.ServerDir)
	if errors.Is(err, os.ErrNotExist) {
		return status, nil
	}
	if err != nil {
		return status, err
	}
	status.Enable, status.ActiveKey = &current.enabled, "AES-CBC "+current.keys[0].Name
	for _, key := range current.keys[1:] {
		status.InactiveKeys = append(status.InactiveKeys, "AES-CBC "+key.Name)
	}
	nodes, err := s.passwords.client.CoreV1().Nodes().List(ctx, serverSelector)
	if err != nil {
		return status, err
	}
	status.Stage, status.HashError = compareHashes(nodes.Items)
	status.HashMatch = status.HashError == ""
	return status, nil
}

// compareHashes also returns the stage of the first server.
func compareHashes(servers []corev1.Node) (stage, mismatch string) {
	stage = stageStart
	for i, server := range servers {
		ours, hash, _ := strings.Cut(server.Annotations[encryptionAnnotation], "-")
		if i == 0 {
			stage = ours
		}
		if _, first, _ := strings.Cut(servers[0].Annotations[encryptionAnnotation], "-"); hash != first {
			return stage, fmt.Sprintf("hash does not match between %s and %s", servers[0].Name, server.Name)
		}
	}
	return stage, ""
}

func (s *supervisor) changeEncryption(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPut {
		refuse(w, r, http.StatusMethodNotAllowed, "method not allowed")
		return
	}
	var request encryptionRequest
	err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxRequestBody)).Decode(&request)
	switch {
	case err != nil:
	case request.Enable != nil:
		err = s.enableEncryption(r.Context(), *request.Enable)
	case request.Stage == nil:
		err = errors.New("unknown stage requested")
	default:
		err = s.takeStage(r.Context(), *request.Stage, request)
	}
	if err != nil {
		refuse(w, r, http.StatusBadRequest, err.Error())
	}
}

func (s *supervisor) takeStage(ctx context.Context, stage string, request encryptionRequest) error {
	switch stage {
	case stageRotateKeys:
		return s.rotateEncryptionKeys(ctx)
	case stagePrepare:
		return s.prepareKey(ctx, request.Force)
	case stageRotate:
		return s.rotateToNewKey(ctx, request.Force)
	case stageRequest:
		return s.beginReencryption(ctx, request.Force, request.Skip)
	default:
		return errors.New("unknown stage requested")
	}
}

func (s *supervisor) enableEncryption(ctx context.Context, enable bool) error {
	current, err := readEncryption(s.ServerDir)
	if err != nil || current.enabled == enable {
		return err
	}
	current.enabled = enable
	if err := s.applyEncryption(ctx, current); err != nil {
		return err
	}
	return s.endStage(ctx, stageStart)
}

// rotateEncryptionKeys gives all secrets a new key, and forgets the old one.
func (s *supervisor) rotateEncryptionKeys(ctx context.Context) error {
	status, err := s.statusOfEncryption(ctx)
	if err != nil {
		return err
	}
	if status.HashError != "" {
		return errors.New(status.HashError)
	}
	current, err := readEncryption(s.ServerDir)
	if err != nil {
		return err
	}
	if err := annotateEncryption(ctx, s.passwords.client, s.NodeName, s.ServerDir, stageActive); err != nil {
		return err
	}
	current.keys = append([]encryptionKey{nextEncryptionKey()}, current.keys...)
	if err := s.applyEncryption(ctx, current); err != nil {
		return err
	}
	current.keys = current.keys[:1]
	if err := current.write(s.ServerDir); err != nil {
		return err
	}
	return s.endStage(ctx, stageFinished)
}

// reloads counts how often the API server, in whose process we are, has read the file anew.
func reloads() (count float64, err error) {
	families, err := legacyregistry.DefaultGatherer.Gather()
	for _, family := range families {
		if family.GetName() != reloadMetric {
			continue
		}
		for _, metric := range family.GetMetric() {
			count += metric.GetCounter().GetValue()
		}
	}
	return count, err
}

// applyEncryption makes the API server use it, and writes all secrets anew.
func (s *supervisor) applyEncryption(ctx context.Context, wanted encryption) error {
	if err := s.loadEncryption(ctx, wanted); err != nil {
		return err
	}
	return s.writeSecretsAnew(ctx)
}

// loadEncryption writes the file, and waits until the API server has read it.
func (s *supervisor) loadEncryption(ctx context.Context, wanted encryption) error {
	before, err := reloads()
	if err != nil {
		return err
	}
	if err := wanted.write(s.ServerDir); err != nil {
		return err
	}
	reloadCtx, cancel := context.WithTimeoutCause(ctx, reloadTimeout, errors.New("the API server did not read its new encryption configuration"))
	defer cancel()
	return poll(reloadCtx, func() bool {
		now, err := reloads()
		return err == nil && now > before
	})
}

func (s *supervisor) writeSecretsAnew(ctx context.Context) error {
	secrets := s.passwords.client.CoreV1().Secrets(metav1.NamespaceAll)
	page := metav1.ListOptions{Limit: secretsPage}
	for {
		list, err := secrets.List(ctx, page)
		if err != nil {
			return err
		}
		for _, secret := range list.Items {
			if err := s.writeAnew(ctx, secret); err != nil {
				return err
			}
		}
		if page.Continue = list.Continue; page.Continue == "" {
			return nil
		}
	}
}

func (s *supervisor) writeAnew(ctx context.Context, secret corev1.Secret) error {
	secrets := s.passwords.client.CoreV1().Secrets(secret.Namespace)
	return clientretry.RetryOnConflict(clientretry.DefaultRetry, func() error {
		// An update without a change is written where the key is another one.
		_, err := secrets.Update(ctx, &secret, metav1.UpdateOptions{})
		if err == nil {
			return nil
		}
		fresh, getErr := secrets.Get(ctx, secret.Name, metav1.GetOptions{})
		if getErr == nil {
			secret = *fresh
		}
		return err
	})
}

// endStage stores the keys for the other servers, which take them up when they are restarted.
func (s *supervisor) endStage(ctx context.Context, stage string) error {
	c := &config{role: roleServer, dataDir: filepath.Dir(s.ServerDir)}
	client, err := runningDatastore(ctx, c)
	if err != nil {
		return err
	}
	defer client.Close()
	if err := writeIdentity(ctx, client, s.ServerDir, s.currentSecrets(), s.Cluster); err != nil {
		return err
	}
	return annotateEncryption(ctx, s.passwords.client, s.NodeName, s.ServerDir, stage)
}

func annotateEncryption(ctx context.Context, client kubernetes.Interface, node, serverDir, stage string) error {
	hash, err := hashEncryption(serverDir)
	if err != nil {
		return err
	}
	patch := fmt.Sprintf(`{"metadata":{"annotations":{%q:%q}}}`, encryptionAnnotation, stage+"-"+hash)
	_, err = client.CoreV1().Nodes().Patch(ctx, node, mergePatch, []byte(patch), metav1.PatchOptions{})
	return err
}
