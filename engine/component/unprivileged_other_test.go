//go:build !linux

package component

import (
	"os"
	"testing"
)

// unprivileged calls f as somebody for whom file modes count: here the tests are not run as root.
func unprivileged(t *testing.T, _ string, f func()) {
	t.Helper()
	if os.Getuid() == 0 {
		t.Fatal("run the tests as a user, not as root")
	}
	f()
}
