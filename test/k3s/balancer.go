package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/sirupsen/logrus"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/tools/cache"
)

const (
	balancerDialTimeout = 2 * time.Second
	// balancerCheckEvery is how soon connections to a server that is gone are ended.
	balancerCheckEvery = 2 * time.Second
)

// balancer is an agent's way to the servers, as in k3s: it listens on loopback
// and hands each connection to a server that answers. One at a time is in use.
type balancer struct {
	file        string // k3s's own, which outlives restarts
	defaultHost string
	address     string // where it listens

	mu      sync.Mutex
	servers []string // host:port, the one in use first
	open    map[net.Conn]struct{}
}

// balancerFile is what is kept, in k3s's form.
type balancerFile struct {
	ServerURL       string   `json:"ServerURL"`
	ServerAddresses []string `json:"ServerAddresses"`
}

func startBalancer(ctx context.Context, c *config) (*balancer, error) {
	server, err := url.Parse(c.serverURL)
	if err != nil {
		return nil, err
	}
	host := server.Host
	if server.Port() == "" {
		host = net.JoinHostPort(server.Hostname(), "443")
	}
	b := &balancer{file: c.agentDir("etc", "k3s-agent-load-balancer.json"), defaultHost: host, open: map[net.Conn]struct{}{}}
	b.setServers(c.serverURL, append([]string{host}, b.known(c.serverURL)...))
	listener, err := net.Listen("tcp", net.JoinHostPort(c.balancerHost(), strconv.Itoa(c.balancerPort)))
	if err != nil {
		return nil, err
	}
	b.address = listener.Addr().String()
	logrus.Infof("Running load balancer k3s-agent-load-balancer %s -> %v [default: %s]", listener.Addr(), b.servers, host)
	go b.accept(listener)
	go b.watch(ctx)
	go func() {
		<-ctx.Done()
		listener.Close()
	}()
	return b, nil
}

func (b *balancer) url() string { return "https://" + b.address }

// known are the servers of an earlier run with the same --server.
func (b *balancer) known(serverURL string) []string {
	var kept balancerFile
	data, err := os.ReadFile(b.file)
	if err != nil || json.Unmarshal(data, &kept) != nil || kept.ServerURL != serverURL {
		return nil
	}
	return kept.ServerAddresses
}

// setServers keeps the server in use, if it is still one.
func (b *balancer) setServers(serverURL string, servers []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.servers) > 0 && slices.Contains(servers, b.servers[0]) {
		servers = append([]string{b.servers[0]}, servers...)
	}
	if !slices.Contains(servers, b.defaultHost) {
		servers = append(servers, b.defaultHost)
	}
	var distinct []string
	for _, server := range servers {
		if !slices.Contains(distinct, server) {
			distinct = append(distinct, server)
		}
	}
	b.servers = distinct
	data, err := json.Marshal(balancerFile{ServerURL: serverURL, ServerAddresses: distinct})
	if err == nil {
		err = writeFile(b.file, data, 0o600)
	}
	if err != nil {
		logrus.Errorf("Failed to keep the list of servers: %v", err)
	}
}

// follow takes over the cluster's own list of API servers, for as long as k3s runs.
func (b *balancer) follow(ctx context.Context, c *config) error {
	client, err := clientFromKubeconfig(c.agentDir("kubeproxy.kubeconfig"))
	if err != nil {
		return err
	}
	factory := informers.NewSharedInformerFactoryWithOptions(client, 0,
		informers.WithNamespace(metav1.NamespaceDefault),
		informers.WithTweakListOptions(func(o *metav1.ListOptions) { o.LabelSelector = discoveryv1.LabelServiceName + "=kubernetes" }))
	update := func(object any) {
		if servers := endpointsOf(object.(*discoveryv1.EndpointSlice)); len(servers) > 0 {
			b.setServers(c.serverURL, servers)
		}
	}
	_, err = factory.Discovery().V1().EndpointSlices().Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: update, UpdateFunc: func(_, object any) { update(object) },
	})
	if err != nil {
		return err
	}
	factory.Start(ctx.Done())
	return nil
}

func endpointsOf(slice *discoveryv1.EndpointSlice) (servers []string) {
	for _, port := range slice.Ports {
		for _, endpoint := range slice.Endpoints {
			for _, address := range endpoint.Addresses {
				servers = append(servers, net.JoinHostPort(address, fmt.Sprint(*port.Port)))
			}
		}
	}
	return servers
}

func (b *balancer) accept(listener net.Listener) {
	for {
		client, err := listener.Accept()
		if err != nil {
			return
		}
		go b.carry(client)
	}
}

func (b *balancer) carry(client net.Conn) {
	defer client.Close()
	server, err := b.dial()
	if err != nil {
		logrus.Errorf("Failed to reach any server: %v", err)
		return
	}
	b.mu.Lock()
	b.open[server] = struct{}{}
	b.mu.Unlock()
	go func() {
		io.Copy(server, client)
		server.Close()
	}()
	io.Copy(client, server)
	server.Close()
	b.mu.Lock()
	delete(b.open, server)
	b.mu.Unlock()
}

// dial tries each server once, beginning with the one in use.
func (b *balancer) dial() (server net.Conn, err error) {
	b.mu.Lock()
	candidates := slices.Clone(b.servers)
	b.mu.Unlock()
	for _, candidate := range candidates {
		if server, err = net.DialTimeout("tcp", candidate, balancerDialTimeout); err == nil {
			return server, nil
		}
		b.demote(candidate)
	}
	return nil, err
}

// demote puts a server that does not answer at the end of the list.
func (b *balancer) demote(server string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if at := slices.Index(b.servers, server); at >= 0 {
		b.servers = append(slices.Delete(b.servers, at, at+1), server)
	}
}

// watch ends the connections to a server that no longer answers: those who
// have them would otherwise wait for it for minutes.
func (b *balancer) watch(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(balancerCheckEvery):
		}
		b.mu.Lock()
		inUse := b.servers[0]
		b.mu.Unlock()
		probe, err := net.DialTimeout("tcp", inUse, balancerDialTimeout)
		if err == nil {
			probe.Close()
			continue
		}
		b.demote(inUse)
		b.mu.Lock()
		for server := range b.open {
			if server.RemoteAddr().String() == inUse {
				server.Close()
			}
		}
		b.mu.Unlock()
	}
}
