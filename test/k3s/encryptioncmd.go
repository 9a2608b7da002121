package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/pflag"
)

// rotateKeysTimeout is k3s's: all secrets are written anew meanwhile.
const rotateKeysTimeout = 70 * time.Second

// encryptionCommand is `k3s secrets-encrypt status|enable|disable|rotate-keys|prepare|rotate|reencrypt`.
func encryptionCommand(args []string) error {
	var access serverAccess
	var output string
	fs := pflag.NewFlagSet("k3s secrets-encrypt", pflag.ContinueOnError)
	access.bind(fs)
	fs.StringVarP(&output, "output", "o", "text", "Format of the status: text or json")
	var request encryptionRequest
	fs.BoolVarP(&request.Force, "force", "f", false, "Go on although a server is at another stage")
	fs.BoolVar(&request.Skip, "skip", false, "Keep the old key after the reencryption")
	if err := fs.Parse(longDashes(args)); err != nil {
		return usageError{err}
	}
	var done string
	enable, disable := true, false
	stage := func(name string) *string { return &name }
	switch command := fs.Arg(0); command {
	case "status":
	case "enable":
		request.Enable, done = &enable, "secrets-encryption enabled"
	case "disable":
		request.Enable, done = &disable, "secrets-encryption disabled"
	case "rotate-keys":
		request.Stage, done = stage(stageRotateKeys), "keys rotated, reencryption started"
	case "prepare":
		request.Stage, done = stage(stagePrepare), "prepare completed successfully"
	case "rotate":
		request.Stage, done = stage(stageRotate), "rotate completed successfully"
	case "reencrypt":
		request.Stage, done = stage(stageRequest), "reencryption started"
	default:
		return usageError{fmt.Errorf("k3s secrets-encrypt: unknown command %q (known: status, enable, disable, rotate-keys, prepare, rotate, reencrypt)", command)}
	}
	client, err := access.connect(context.Background())
	if err != nil {
		return err
	}
	if done == "" {
		return printEncryptionStatus(client, output)
	}
	body, err := json.Marshal(request)
	if err != nil {
		return err
	}
	client.http.Timeout = rotateKeysTimeout
	if _, err := client.put(context.Background(), "/v1-k3s/encrypt/config", body); err != nil {
		return fmt.Errorf("see server log for details: %w", err)
	}
	fmt.Println(done)
	return nil
}

func printEncryptionStatus(client *supervisorClient, output string) error {
	var status encryptionStatus
	if err := client.getJSON(context.Background(), "/v1-k3s/encrypt/status", &status); err != nil {
		return fmt.Errorf("see server log for details: %w", err)
	}
	if strings.ToLower(output) == "json" {
		data, err := json.MarshalIndent(status, "", "\t")
		if err != nil {
			return err
		}
		fmt.Println(string(data))
		return nil
	}
	if status.Enable == nil {
		fmt.Println("Encryption Status: Disabled, no configuration file found")
		return nil
	}
	fmt.Println("Encryption Status:", map[bool]string{true: "Enabled", false: "Disabled"}[*status.Enable])
	fmt.Println("Current Rotation Stage:", status.Stage)
	if status.HashMatch {
		fmt.Println("Server Encryption Hashes: All hashes match")
	} else {
		fmt.Println("Server Encryption Hashes:", status.HashError)
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	defer w.Flush()
	fmt.Fprintf(w, "\nActive\tKey Type\tName\n------\t--------\t----\n")
	for i, key := range append([]string{status.ActiveKey}, status.InactiveKeys...) {
		kind, name, _ := strings.Cut(key, " ")
		fmt.Fprintf(w, "%s\t%s\t%s\n", map[bool]string{true: " *"}[i == 0], kind, name)
	}
	return nil
}
