package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// clusterWithNode is an API server that knows one Node.
func clusterWithNode(t *testing.T, name string) kubernetes.Interface {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if r.URL.Path != "/api/v1/nodes/"+name {
			w.WriteHeader(http.StatusNotFound)
			io.WriteString(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"NotFound","code":404}`)
			return
		}
		io.WriteString(w, `{"kind":"Node","apiVersion":"v1","metadata":{"name":"`+name+`"}}`)
	}))
	t.Cleanup(server.Close)
	client, err := kubernetes.NewForConfig(&rest.Config{Host: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// certificateOrToken stands for the API server's authenticators: over TLS comes
// a node's certificate, whose name is a header here, and it is looked at first.
func certificateOrToken(r *http.Request) (*authenticator.Response, bool, error) {
	if owner := r.Header.Get("Certificate-Of"); r.TLS != nil && owner != "" {
		return &authenticator.Response{User: &user.DefaultInfo{Name: nodeUserPrefix + owner, Groups: []string{nodesGroup}}}, true, nil
	}
	if r.Header.Get("Authorization") == "Bearer valid" {
		return &authenticator.Response{User: &user.DefaultInfo{Name: "system:bootstrap:abcdef", Groups: []string{bootstrapGroup}}}, true, nil
	}
	return nil, false, nil
}

func TestTheCertificateOfADeletedNodeIsRefused(t *testing.T) {
	handler := newSupervisor(supervisorSettings{}, clusterWithNode(t, "there"), authenticator.RequestFunc(certificateOrToken), http.NotFoundHandler())
	for name, test := range map[string]struct {
		certificate, node, token string
		status                   int
		says                     string
	}{
		"a node":                         {"there", "there", "", http.StatusOK, "ok"},
		"a node whose token has expired": {"there", "there", "expired", http.StatusOK, "ok"},
		"a node under another name":      {"there", "gone", "", http.StatusForbidden, "is not a node"},
		"a deleted node":                 {"gone", "gone", "", http.StatusUnauthorized, "unable to verify node identity"},
		"a deleted node, token expired":  {"gone", "gone", "expired", http.StatusUnauthorized, "unable to verify node identity"},
		"a deleted node, token valid":    {"gone", "gone", "valid", http.StatusOK, "ok"},
		"a new machine":                  {"", "new", "valid", http.StatusOK, "ok"},
		"a new machine, token expired":   {"", "new", "expired", http.StatusUnauthorized, "not authenticated"},
	} {
		t.Run(name, func(t *testing.T) {
			request := httptest.NewRequest(http.MethodGet, "https://server/v1-k3s/readyz", nil)
			request.Header.Set("Certificate-Of", test.certificate)
			request.Header.Set(headerNodeName, test.node)
			request.Header.Set("Authorization", "Bearer "+test.token)
			answer := httptest.NewRecorder()
			handler.ServeHTTP(answer, request)
			if answer.Code != test.status || !strings.Contains(answer.Body.String(), test.says) {
				t.Errorf("%d %q, want %d %q", answer.Code, answer.Body, test.status, test.says)
			}
		})
	}
}
