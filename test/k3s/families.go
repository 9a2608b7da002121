package main

import (
	"fmt"
	"net"
	"strconv"
	"strings"

	utilnet "k8s.io/apimachinery/pkg/util/net"
)

// What there is of IPv4, of IPv6 or of both: addresses of the node, networks of
// the cluster. As in k3s, the family of the first one decides where there can be only one.

func isIPv6(address string) bool {
	ip := net.ParseIP(address)
	return ip != nil && ip.To4() == nil
}

func isIPv6Range(cidr string) bool {
	address, _, found := strings.Cut(cidr, "/")
	return found && isIPv6(address)
}

func loopbackOf(ipv6 bool) string {
	if ipv6 {
		return "::1"
	}
	return "127.0.0.1"
}

func localServerURL(host string, port int) string {
	return "https://" + net.JoinHostPort(host, strconv.Itoa(port))
}

// hostAddresses are the node's where it is told none: IPv4, and IPv6 beside it, or IPv6 alone.
func hostAddresses() ([]string, error) {
	first, err := utilnet.ChooseHostInterface()
	if err != nil {
		return nil, err
	}
	addresses := []string{first.String()}
	if first.To4() != nil {
		if second, err := utilnet.ResolveBindAddress(net.IPv6loopback); err == nil && !second.Equal(first) {
			addresses = append(addresses, second.String())
		}
	}
	return addresses, nil
}

// nodeIP is the address where there can be only one: etcd's, the API server's.
func (c *config) nodeIP() string { return c.nodeIPs[0] }

// kubeletIPs begin with the family that the cluster's pods begin with.
func (c *config) kubeletIPs(cluster clusterSettings) []string {
	if len(c.nodeIPs) == 2 && isIPv6Range(splitList([]string{cluster.ClusterCIDR})[0]) != isIPv6(c.nodeIPs[0]) {
		return []string{c.nodeIPs[1], c.nodeIPs[0]}
	}
	return c.nodeIPs
}

// completeNetworks checks the cluster's networks, and fills in those that nobody named.
func (c *config) completeNetworks() error {
	if c.clusterCIDRs = splitList(c.clusterCIDRs); len(c.clusterCIDRs) == 0 {
		c.clusterCIDRs = []string{"10.42.0.0/16"}
		if isIPv6(c.nodeIP()) {
			c.clusterCIDRs = []string{"fd00:42::/56"}
		}
	}
	if c.serviceCIDRs = splitList(c.serviceCIDRs); len(c.serviceCIDRs) == 0 {
		c.serviceCIDRs = []string{"10.43.0.0/16"}
		if isIPv6(c.nodeIP()) {
			c.serviceCIDRs = []string{"fd00:43::/112"}
		}
	}
	if _, err := parseCIDRs(c.clusterCIDRs); err != nil {
		return fmt.Errorf("invalid value for --cluster-cidr: %w", err)
	}
	services, err := parseCIDRs(c.serviceCIDRs)
	if err != nil {
		return fmt.Errorf("invalid value for --service-cidr: %w", err)
	}
	if c.clusterDNSs = splitList(c.clusterDNSs); len(c.clusterDNSs) == 0 {
		for _, network := range services {
			c.clusterDNSs = append(c.clusterDNSs, nthAddress(network, 10))
		}
	}
	for _, address := range c.clusterDNSs {
		if net.ParseIP(address) == nil {
			return fmt.Errorf("invalid value %q for --cluster-dns: not an IP address", address)
		}
	}
	return nil
}

func parseCIDRs(texts []string) (networks []*net.IPNet, err error) {
	for _, text := range texts {
		_, network, err := net.ParseCIDR(text)
		if err != nil {
			return nil, err
		}
		networks = append(networks, network)
	}
	return networks, nil
}

// apiServiceIP is the cluster IP of the Service "kubernetes".
func (c *config) apiServiceIP() string {
	services, _ := parseCIDRs(c.serviceCIDRs) // checked in completeNetworks
	return nthAddress(services[0], 1)
}

// loopback is where a server's own parts meet: of IPv6 in a cluster whose Services begin with IPv6.
func (c *config) loopback() string { return loopbackOf(isIPv6(c.apiServiceIP())) }

// balancerHost is IPv6's loopback only where the node was told an address of IPv6 first.
func (c *config) balancerHost() string { return loopbackOf(c.hasNodeIP && isIPv6(c.nodeIP())) }

func nthAddress(network *net.IPNet, n byte) string {
	ip := append(net.IP(nil), network.IP...)
	ip[len(ip)-1] += n
	return ip.String()
}
