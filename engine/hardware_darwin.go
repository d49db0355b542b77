package engine

import (
	"context"
	"os/exec"
	"regexp"
	"time"
)

var platformUUID = regexp.MustCompile(`"IOPlatformUUID" = "([0-9A-F-]+)"`)

// hardwareID returns the Mac's platform UUID, which survives reinstallation and is not copied by Migration Assistant.
func hardwareID() string {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, "/usr/sbin/ioreg", "-rd1", "-c", "IOPlatformExpertDevice").Output()
	if err != nil {
		return ""
	}
	m := platformUUID.FindSubmatch(out)
	if m == nil {
		return ""
	}
	return string(m[1])
}
