// Peers for the benchmarks of the proxy, in a language that is not the agent's:
//
//	http upstream --cert F --key F     a fast API server on loopback; prints its port
//	http load --url U [flags]          sends requests for a while; prints one JSON line
//	http watch --url U [flags]         opens many watches; prints how late their events come
//
// Both clients trust the certificates of --ca and send --header "Name: value".
package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"time"
)

func main() {
	if len(os.Args) < 2 {
		fail("give upstream, load or watch")
	}
	flags := flag.NewFlagSet(os.Args[1], flag.ExitOnError)
	cert := flags.String("cert", "", "certificate of the upstream")
	key := flags.String("key", "", "its key")
	url := flags.String("url", "", "what to ask for")
	ca := flags.String("ca", "", "certificates to trust")
	header := flags.String("header", "", "a header for each request")
	connections := flags.Int("connections", 16, "requests at once")
	seconds := flags.Float64("seconds", 3, "how long")
	_ = flags.Parse(os.Args[2:])
	switch os.Args[1] {
	case "upstream":
		serve(*cert, *key)
	case "load":
		printLine(load(targetOf(*url, *ca, *header), *connections, *seconds))
	case "watch":
		printLine(watch(client(*ca, *connections), request(*url, *header), *connections, *seconds))
	default:
		fail("give upstream, load or watch")
	}
}

func serve(cert, key string) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fail(err.Error())
	}
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	server := &http.Server{Handler: upstream(), ReadHeaderTimeout: 10 * time.Second}
	fail(server.ServeTLS(listener, cert, key).Error())
}

// HTTP/1.1 only: every door of the agent speaks it, and so must what it is compared with.
func client(ca string, connections int) *http.Client {
	return &http.Client{Transport: &http.Transport{
		TLSClientConfig:     trust(ca),
		TLSNextProto:        map[string]func(string, *tls.Conn) http.RoundTripper{},
		MaxIdleConnsPerHost: connections,
		DisableCompression:  true,
	}}
}

func trust(ca string) *tls.Config {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if ca != "" {
		pem, err := os.ReadFile(ca)
		if err != nil {
			fail(err.Error())
		}
		config.RootCAs = x509.NewCertPool()
		config.RootCAs.AppendCertsFromPEM(pem)
	}
	return config
}

// Where the load goes: a request as it is on the wire, and how to connect.
type target struct {
	request []byte
	dial    func() (net.Conn, error)
}

func targetOf(address, ca, header string) target {
	made := request(address, header)
	var wire bytes.Buffer
	if err := made.Write(&wire); err != nil {
		fail(err.Error())
	}
	host, secure := made.URL.Host, made.URL.Scheme == "https"
	config := trust(ca)
	return target{wire.Bytes(), func() (net.Conn, error) {
		if secure {
			return tls.Dial("tcp", host, config)
		}
		return net.Dial("tcp", host)
	}}
}

func request(url, header string) *http.Request {
	made, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		fail(err.Error())
	}
	if name, value, found := strings.Cut(header, ": "); found {
		made.Header.Set(name, value)
	}
	return made
}

func printLine(value any) {
	line, err := json.Marshal(value)
	if err != nil {
		fail(err.Error())
	}
	fmt.Println(string(line))
}

func fail(text string) {
	fmt.Fprintln(os.Stderr, text)
	os.Exit(1)
}
