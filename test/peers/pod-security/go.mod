// Nothing is built here: it names, with go.sum, the module whose fixtures the tests read.
module pipeops-agent/test/peers/pod-security

go 1.24

require k8s.io/pod-security-admission v0.34.4
