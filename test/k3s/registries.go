package main

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"sigs.k8s.io/yaml"
)

const registriesFile = "/etc/rancher/k3s/registries.yaml"

// registries is the part of registries.yaml that is understood here; logins and rewrites are not.
type registries struct {
	Mirrors map[string]struct {
		Endpoints []string `json:"endpoint"`
	} `json:"mirrors"`
	Configs map[string]struct {
		TLS *struct {
			CAFile   string `json:"ca_file"`
			Insecure bool   `json:"insecure_skip_verify"`
		} `json:"tls"`
	} `json:"configs"`
}

// writeRegistryHosts makes containerd's certs.d of registries.yaml, which is read at start alone.
// What it asks when no mirror answers is the registry itself, as with k3s.
func writeRegistryHosts(dir string) error {
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	data, err := os.ReadFile(registriesFile)
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		return err
	}
	var given registries
	if err := yaml.Unmarshal(data, &given); err != nil {
		return fmt.Errorf("%s: %w", registriesFile, err)
	}
	names := map[string]bool{}
	for name := range given.Mirrors {
		names[name] = true
	}
	for name := range given.Configs {
		names[name] = true
	}
	for name := range names {
		file := filepath.Join(dir, strings.Replace(name, "*", "_default", 1), "hosts.toml")
		if err := writeFile(file, []byte(given.hostsOf(name)), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// hostsOf is the hosts.toml of one registry: https://github.com/containerd/containerd/blob/main/docs/hosts.md.
func (r *registries) hostsOf(name string) string {
	var text strings.Builder
	switch name {
	case "*":
	case "docker.io":
		text.WriteString("server = \"https://registry-1.docker.io\"\n")
	default:
		fmt.Fprintf(&text, "server = %q\n", "https://"+name)
	}
	text.WriteString(r.trustOf(name))
	for _, endpoint := range r.Mirrors[name].Endpoints {
		host := endpoint
		if parsed, err := url.Parse(endpoint); err == nil {
			host = parsed.Host
		}
		fmt.Fprintf(&text, "\n[host.%q]\n  capabilities = [\"pull\", \"resolve\"]\n%s", endpoint, r.trustOf(host))
	}
	return text.String()
}

func (r *registries) trustOf(host string) string {
	config, found := r.Configs[host]
	if !found {
		config = r.Configs["*"]
	}
	switch {
	case config.TLS == nil:
		return ""
	case config.TLS.Insecure:
		return "skip_verify = true\n"
	case config.TLS.CAFile != "":
		return fmt.Sprintf("ca = %q\n", config.TLS.CAFile)
	}
	return ""
}
