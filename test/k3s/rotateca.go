package main

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/sirupsen/logrus"
)

// As in k3s, new authorities are given to a running server, which checks that
// whoever trusts the present ones trusts them too, and keeps them in the
// datastore: each server takes them up when it is restarted.

// maxAuthorities is for all their certificates and keys.
const maxAuthorities = 1 << 20

// rotateAuthoritiesCommand is `k3s certificate rotate-ca --path DIR`.
func rotateAuthoritiesCommand(access serverAccess, dir string, force bool) error {
	if dir == "" {
		return usageError{errors.New("--path is required: a directory with the new authorities in its tls directory")}
	}
	files := map[string][]byte{}
	for _, name := range bootstrapPaths {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if errors.Is(err, os.ErrNotExist) {
			continue // it stays as it is
		}
		if err != nil {
			return err
		}
		files[name] = data
	}
	body, err := json.Marshal(files)
	if err != nil {
		return err
	}
	client, err := access.connect(context.Background())
	if err != nil {
		return err
	}
	if _, err := client.put(context.Background(), "/v1-k3s/cert/cacerts?force="+strconv.FormatBool(force), body); err != nil {
		return fmt.Errorf("see server log for details: %w", err)
	}
	fmt.Println("certificates saved to datastore")
	return nil
}

func (s *supervisor) replaceAuthorities(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPut {
		refuse(w, r, http.StatusMethodNotAllowed, "method not allowed")
		return
	}
	var given map[string][]byte
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxAuthorities)).Decode(&given); err != nil {
		refuse(w, r, http.StatusBadRequest, err.Error())
		return
	}
	force, _ := strconv.ParseBool(r.URL.Query().Get("force")) // false when it is no such word
	if err := s.storeAuthorities(r.Context(), given, force); err != nil {
		refuse(w, r, http.StatusInternalServerError, err.Error())
		return
	}
	logrus.Info("certificate: Cluster Certificate Authority data has been updated, k3s must be restarted.")
}

func (s *supervisor) storeAuthorities(ctx context.Context, given map[string][]byte, force bool) error {
	files, err := readBootstrapFiles(s.ServerDir)
	if err != nil {
		return err
	}
	if err := checkAuthorities(files, given); err != nil {
		if !force {
			return fmt.Errorf("failed to validate new CA certificates and keys: %w", err)
		}
		logrus.Warnf("Save of CA certificates and keys forced, ignoring validation errors: %v", err)
	}
	for name, data := range given {
		files[name] = data
	}
	c := &config{role: roleServer, dataDir: filepath.Dir(s.ServerDir)}
	client, err := runningDatastore(ctx, c)
	if err != nil {
		return err
	}
	defer client.Close()
	return storeIdentity(ctx, client, files, s.currentSecrets(), s.Cluster)
}

// checkAuthorities compares what is given with what there is, by its name.
func checkAuthorities(present, given map[string][]byte) error {
	for name, data := range given {
		base, isCertificate := strings.CutSuffix(name, "-ca.crt")
		if present[name] == nil {
			return fmt.Errorf("%s is none of the cluster's authorities", name)
		}
		if !isCertificate || bytes.Equal(data, present[name]) {
			continue
		}
		key := given[base+"-ca.key"]
		if key == nil {
			key = present[base+"-ca.key"]
		}
		if err := checkAuthority(present[name], data, key); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// checkAuthority wants the first certificate of the new bundle, whose key it is, and the first of the
// present one to be trusted by whoever trusts the others of the new bundle.
func checkAuthority(present, bundle, key []byte) error {
	old, err := parseCert(present)
	if err != nil {
		return err
	}
	certs, err := parseBundle(bundle)
	if err != nil {
		return err
	}
	if len(certs) == 1 {
		return errors.New("new CA bundle contains only a single certificate but should include root or intermediate CA certificates")
	}
	if private, err := parseKey(key); err != nil || !private.PublicKey.Equal(certs[0].PublicKey) {
		return errors.New("new CA cert and key cannot be loaded as X590KeyPair: the private key is another one's")
	}
	options := x509.VerifyOptions{Roots: x509.NewCertPool(), Intermediates: x509.NewCertPool(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}
	for _, cert := range certs[1:] {
		if bytes.Equal(cert.RawIssuer, cert.RawSubject) {
			options.Roots.AddCert(cert)
		} else {
			options.Intermediates.AddCert(cert)
		}
	}
	if _, err := certs[0].Verify(options); err != nil {
		return fmt.Errorf("new CA cert cannot be verified using old CA chain: %w", err)
	}
	if _, err := old.Verify(options); err != nil {
		return fmt.Errorf("old CA cert cannot be verified using new CA chain: %w", err)
	}
	return nil
}

func parseBundle(data []byte) ([]*x509.Certificate, error) {
	var certs []*x509.Certificate
	for {
		var block *pem.Block
		if block, data = pem.Decode(data); block == nil {
			break
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		certs = append(certs, cert)
	}
	if len(certs) == 0 {
		return nil, errors.New("no PEM data")
	}
	return certs, nil
}
