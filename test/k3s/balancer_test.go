package main

import (
	"io"
	"net"
	"path/filepath"
	"slices"
	"testing"
)

// sayingServer tells everybody who connects its name.
func sayingServer(t *testing.T, name string) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			io.WriteString(connection, name)
			connection.Close()
		}
	}()
	return listener.Addr().String()
}

func TestBalancerUsesAServerThatAnswers(t *testing.T) {
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone.Close()
	dead, alive := gone.Addr().String(), sayingServer(t, "alive")
	file := filepath.Join(t.TempDir(), "list.json")
	b := &balancer{file: file, defaultHost: dead, open: map[net.Conn]struct{}{}}
	b.setServers("https://first", []string{dead, alive})
	front, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer front.Close()
	go b.accept(front)
	client, err := net.Dial("tcp", front.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if said, err := io.ReadAll(client); err != nil || string(said) != "alive" {
		t.Errorf("%q, %v", said, err)
	}
	if want := []string{alive, dead}; !slices.Equal(b.servers, want) {
		t.Errorf("in use: %q, want %q", b.servers, want)
	}
	// After a restart the others are known, unless --server is another one.
	again := &balancer{file: file}
	if known := again.known("https://first"); !slices.Contains(known, alive) {
		t.Errorf("kept: %q", known)
	}
	if known := again.known("https://other"); known != nil {
		t.Errorf("kept of another cluster: %q", known)
	}
}
