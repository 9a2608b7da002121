package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/pflag"
)

// serverAccess are the flags of commands that ask the running server, as its administrator.
type serverAccess struct {
	url, token, dataDir string
}

func (a *serverAccess) bind(fs *pflag.FlagSet) {
	fs.StringVarP(&a.url, "server", "s", "https://127.0.0.1:6443", "Server to connect to")
	fs.StringVarP(&a.token, "token", "t", os.Getenv("K3S_TOKEN"), "Server token (default: that of this machine)")
	fs.StringVarP(&a.dataDir, "data-dir", "d", defaultDataDir, "Folder that holds state")
}

func (a *serverAccess) connect(ctx context.Context) (*supervisorClient, error) {
	token := a.token
	if token == "" {
		data, err := os.ReadFile(filepath.Join(a.dataDir, "server", "token"))
		if err != nil {
			return nil, err
		}
		token = string(bytes.TrimSpace(data))
	}
	return newSupervisorClient(ctx, a.url, token, userServer, "")
}

type tokenRotateRequest struct {
	NewToken string `json:"newToken"`
}

// rotateTokenCommand is `k3s token rotate`.
func rotateTokenCommand(access serverAccess, newToken string) error {
	fmt.Println("\033[33mWARNING\033[0m: Recommended to keep a record of the old token. If restoring from a snapshot, you must use the token associated with that snapshot.")
	ctx := context.Background()
	client, err := access.connect(ctx)
	if err != nil {
		return err
	}
	body, err := json.Marshal(tokenRotateRequest{newToken})
	if err != nil {
		return err
	}
	if _, err := client.put(ctx, "/v1-k3s/token", body); err != nil {
		return err
	}
	fmt.Println("Token rotated, restart k3s nodes with new token")
	return nil
}

// rotateToken gives the cluster another server token. Other servers and agents
// with the old one go on, and are refused when they next ask this server.
func (s *supervisor) rotateToken(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPut {
		refuse(w, r, http.StatusMethodNotAllowed, "method not allowed")
		return
	}
	var request tokenRotateRequest
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxRequestBody)).Decode(&request); err != nil {
		refuse(w, r, http.StatusBadRequest, err.Error())
		return
	}
	if request.NewToken == "" {
		request.NewToken = randomHex(16)
	}
	if err := s.changeToken(r.Context(), request.NewToken); err != nil {
		refuse(w, r, http.StatusInternalServerError, err.Error())
	}
}

func (s *supervisor) changeToken(ctx context.Context, secret string) error {
	if strings.ContainsAny(secret, ": \n") {
		return fmt.Errorf("a token may not hold colons or spaces")
	}
	old := s.currentSecrets()
	wanted := serverSecrets{server: secret, agent: old.agent}
	if old.agent == old.server {
		wanted.agent = secret
	}
	c := &config{role: roleServer, dataDir: filepath.Dir(s.ServerDir)}
	client, err := runningDatastore(ctx, c)
	if err != nil {
		return err
	}
	defer client.Close()
	// The old identity goes first: one that another token seals stands in the way.
	if err := removeIdentity(ctx, client, old.server); err != nil {
		return err
	}
	if err := writeIdentity(ctx, client, s.ServerDir, wanted, s.Cluster); err != nil {
		return err
	}
	s.rotating.Lock()
	s.ServerSecret, s.NodeSecret = wanted.server, wanted.agent
	s.rotating.Unlock()
	return writeTokenFiles(c, wanted)
}
