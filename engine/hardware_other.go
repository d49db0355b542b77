//go:build !darwin

package engine

import (
	"os"
	"strings"
)

// hardwareID returns systemd's machine id: Linux has nothing nearer to the hardware that a user may read.
func hardwareID() string {
	b, err := os.ReadFile("/etc/machine-id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}
