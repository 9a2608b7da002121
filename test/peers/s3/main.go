// A store that speaks S3, in memory, for tests: it listens on a free port of the address that is given, and prints its address.
// It does not check signatures itself; who asks must name the access key that is given.
package main

import (
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"strings"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
)

func main() {
	address, bucket, accessKey := os.Args[1], os.Args[2], os.Args[3]
	backend := s3mem.New()
	if err := backend.CreateBucket(bucket); err != nil {
		log.Fatal(err)
	}
	store := gofakes3.New(backend).Server()
	listener, err := net.Listen("tcp", address+":0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("http://%s\n", listener.Addr())
	log.Fatal(http.Serve(listener, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 Credential="+accessKey+"/") {
			w.WriteHeader(http.StatusForbidden)
			fmt.Fprint(w, "<?xml version=\"1.0\"?><Error><Code>InvalidAccessKeyId</Code><Message>unknown</Message></Error>")
			return
		}
		store.ServeHTTP(w, r)
	})))
}
