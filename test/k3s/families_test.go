package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

// configOf is what a machine without a configuration file is told by flags.
func configOf(t *testing.T, role string, args ...string) *config {
	t.Helper()
	empty := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := parseConfig(role, append(args, "--config", empty))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestAServerOfIPv6AloneHasNetworksAndLoopbackOfIPv6(t *testing.T) {
	c := configOf(t, roleServer, "--node-ip", "fd00:77::a")
	if !slices.Equal(c.clusterCIDRs, []string{"fd00:42::/56"}) || !slices.Equal(c.serviceCIDRs, []string{"fd00:43::/112"}) {
		t.Errorf("networks: %q, %q", c.clusterCIDRs, c.serviceCIDRs)
	}
	if !slices.Equal(c.clusterDNSs, []string{"fd00:43::a"}) || c.apiServiceIP() != "fd00:43::1" {
		t.Errorf("service addresses: %q, %s", c.clusterDNSs, c.apiServiceIP())
	}
	if c.localURL() != "https://[::1]:6443" || c.balancerHost() != "::1" || c.advertiseAddress != "fd00:77::a" {
		t.Errorf("addresses: %s, %s, %s", c.localURL(), c.balancerHost(), c.advertiseAddress)
	}
	settings := etcdSettings(c, "a", etcdStart{})
	for key, wanted := range map[string]string{
		"listen-client-urls":      "https://[::1]:2379,https://[fd00:77::a]:2379",
		"listen-client-http-urls": "https://[::1]:2382",
		"listen-peer-urls":        "https://[::1]:2380,https://[fd00:77::a]:2380",
		"advertise-client-urls":   "https://[fd00:77::a]:2379",
		"listen-metrics-urls":     "http://[::1]:2381",
	} {
		if settings[key] != wanted {
			t.Errorf("%s: %v, not %s", key, settings[key], wanted)
		}
	}
	if kubelet := kubeletConfig(c, c.clusterSettings()); kubelet["healthzBindAddress"] != "::1" {
		t.Errorf("the kubelet tells its health on %v", kubelet["healthzBindAddress"])
	}
}

func TestOfBothFamiliesTheFirstServiceNetworkDecides(t *testing.T) {
	c := configOf(t, roleServer, "--node-ip", "fd00:77::a,10.77.1.10", "--cluster-cidr", "10.42.0.0/16,fd00:42::/56",
		"--service-cidr", "10.43.0.0/16", "--service-cidr", "fd00:43::/112")
	if c.localURL() != "https://127.0.0.1:6443" || c.apiServiceIP() != "10.43.0.1" {
		t.Errorf("addresses: %s, %s", c.localURL(), c.apiServiceIP())
	}
	cluster := c.clusterSettings()
	if cluster.ClusterCIDR != "10.42.0.0/16,fd00:42::/56" || cluster.ClusterDNS != "10.43.0.10,fd00:43::a" {
		t.Errorf("told to nodes: %+v", cluster)
	}
	if ips := c.kubeletIPs(cluster); !slices.Equal(ips, []string{"10.77.1.10", "fd00:77::a"}) {
		t.Errorf("the pods' first family comes first: %q", ips)
	}
	hosts := c.servingHosts()
	for _, address := range c.nodeIPs {
		if !slices.Contains(hosts, address) {
			t.Errorf("the certificate lacks %s: %q", address, hosts)
		}
	}
}

func TestTheBalancerIsOnIPv6OnlyWhereANodeIsToldSo(t *testing.T) {
	for host, args := range map[string][]string{"127.0.0.1": {"--node-ip", "10.77.1.11"}, "::1": {"--node-ip", "fd00:77::b"}} {
		c := configOf(t, roleAgent, append(args, "--server", "https://[fd00:77::a]:6443", "--token", "x")...)
		if c.balancerHost() != host {
			t.Errorf("%q: the balancer listens on %s", args, c.balancerHost())
		}
	}
	if found := (&config{nodeIPs: []string{"fd00:77::b"}}).balancerHost(); found != "127.0.0.1" {
		t.Errorf("with an address that was found it listens on %s", found)
	}
}

func TestEachFamilyHasItsTableAndItsRoute(t *testing.T) {
	rules := masqueradeRules([]string{"10.42.0.0/24", "fd00:42::/64"}, []string{"10.42.0.0/16", "fd00:42::/56"})
	for _, wanted := range []string{
		"table ip flannel-ipv4 {", "ip saddr 10.42.0.0/24 ip daddr != { 224.0.0.0/4, 10.42.0.0/16 } masquerade",
		"table ip6 flannel-ipv6 {", "ip6 saddr fd00:42::/64 ip6 daddr != { ff00::/8, fd00:42::/56 } masquerade",
	} {
		if !strings.Contains(rules, wanted) {
			t.Errorf("no %q in %s", wanted, rules)
		}
	}
	subnets := subnetFile([]string{"10.42.1.0/24", "fd00:42:0:1::/64"}, []string{"10.42.0.0/16", "fd00:42::/56"})
	if subnets != "FLANNEL_NETWORK=10.42.0.0/16\nFLANNEL_IPV6_NETWORK=fd00:42::/56\nFLANNEL_SUBNET=10.42.1.0/24\nFLANNEL_IPV6_SUBNET=fd00:42:0:1::/64\n" {
		t.Errorf("told to the container runtime: %s", subnets)
	}
	node := &corev1.Node{Spec: corev1.NodeSpec{PodCIDRs: []string{"fd00:42:0:1::/64", "10.42.1.0/24"}}}
	for _, address := range []string{"10.77.1.11", "fd00:77::b"} {
		node.Status.Addresses = append(node.Status.Addresses, corev1.NodeAddress{Type: corev1.NodeInternalIP, Address: address})
	}
	wanted := []nodeNetwork{{"fd00:42:0:1::/64", "fd00:77::b"}, {"10.42.1.0/24", "10.77.1.11"}}
	if networks := networksOf(node); !slices.Equal(networks, wanted) {
		t.Errorf("ways to its pods: %+v", networks)
	}
}
