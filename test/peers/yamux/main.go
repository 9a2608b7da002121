// Peers for the tests and benchmarks of the tunnel, made of hashicorp/yamux and gorilla/websocket:
// a gateway that drives scenarios through an agent, and an agent to compare ours with.
//
//	yamux-peer gateway [--tls-cert F --tls-key F]
//	yamux-peer agent URL
//
// The gateway prints `{"url": …, "targets": {…}}` and then answers each line of standard input, one
// request in JSON, with one line of JSON. It ends with its standard input.
package main

import (
	"flag"
	"fmt"
	"os"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(arguments []string) error {
	if len(arguments) == 2 && arguments[0] == "agent" {
		return runAgent(arguments[1])
	}
	if len(arguments) > 0 && arguments[0] == "gateway" {
		flags := flag.NewFlagSet("gateway", flag.ContinueOnError)
		certificate := flags.String("tls-cert", "", "PEM file: serve TLS")
		key := flags.String("tls-key", "", "PEM file")
		if err := flags.Parse(arguments[1:]); err != nil {
			return err
		}
		return runGateway(*certificate, *key)
	}
	return fmt.Errorf("usage: yamux-peer gateway [--tls-cert F --tls-key F] | agent URL")
}
