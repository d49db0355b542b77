package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
)

// machine describes where it was measured, without the name of the host.
func machine(ctx context.Context) string {
	model, memory, system := "unknown CPU", "", runtime.GOOS
	if b, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		model = field(string(b), "model name", model)
	} else if out, err := exec.CommandContext(ctx, "sysctl", "-n", "machdep.cpu.brand_string").Output(); err == nil {
		model = strings.TrimSpace(string(out))
	}
	if b, err := os.ReadFile("/proc/meminfo"); err == nil {
		var kib int64
		if _, err := fmt.Sscanf(field(string(b), "MemTotal", ""), "%d kB", &kib); err == nil {
			memory = fmt.Sprintf(", %d GiB", (kib+1<<19)>>20)
		}
	}
	if b, err := os.ReadFile("/etc/os-release"); err == nil {
		for line := range strings.Lines(string(b)) {
			if name, ok := strings.CutPrefix(line, "PRETTY_NAME="); ok {
				system = strings.Trim(strings.TrimSpace(name), `"`)
			}
		}
	} else if out, err := exec.CommandContext(ctx, "sw_vers", "-productVersion").Output(); err == nil {
		system = "macOS " + strings.TrimSpace(string(out))
	}
	return fmt.Sprintf("%s, %d cores%s, %s/%s, %s", model, runtime.NumCPU(), memory, system, runtime.GOARCH, runtime.Version())
}

// field returns the value of the first line "NAME : VALUE" of a text.
func field(text, name, otherwise string) string {
	for line := range strings.Lines(text) {
		key, value, ok := strings.Cut(line, ":")
		if ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return otherwise
}
