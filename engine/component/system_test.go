package component

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// planKeys are the keys that the plan names, and those that the design adds.
var planKeys = []string{
	"macos_version", "macos_build", "python_version", "python_path", "hostname", "username", "maia_phase", "backup_created",
	"home", "uid", "arch", "homebrew_prefix", "time_zone", "old_roots",
}

func TestSystemInfo(t *testing.T) {
	root := maia(t, map[string]string{"SYSTEM_STATE.md": "# State\nPhaseless, Phase x, Phase 112: recovery\nPhase 113\n"})
	agent := xmlPlist(`<key>Label</key><string>x</string><key>ProgramArguments</key><array><string>/bin/x</string><string>/Users/old/maia/claude/tools/x.py</string></array>
<key>WorkingDirectory</key><string>/Users/old/work</string><key>EnvironmentVariables</key><dict><key>MAIA_ROOT</key><string>` + root + `</string></dict>`)
	h := home(t, map[string]string{"Library/LaunchAgents/com.maia.x.plist": agent})
	inv := takeOptions(t, Options{Root: root, Home: h})
	zone, err := time.LoadLocation("Europe/Berlin")
	must(t, err)
	dir := t.TempDir()
	tree(t, dir, map[string]string{"os-release": "# c\nNAME=\"Debian GNU/Linux\"\nPRETTY_NAME='Debian GNU/Linux 12 (bookworm)'\nVERSION_ID=\"12\"\nODD\n"})
	r := &recorded{answers: map[string]string{"/usr/bin/sw_vers -productVersion": "15.0\n", "/usr/bin/sw_vers -buildVersion": "24A335\n"}}
	o := SystemOptions{
		Inventory: inv, Run: r.run, Hostname: "mac.local", Getenv: environment(map[string]string{"LOGNAME": "n"}), Zone: zone,
		Now: time.Date(2025, 10, 13, 5, 0, 0, 999, zone), osRelease: dir + "/os-release",
		Dependencies: DependencyInfo{BrewPrefix: "/opt/homebrew", Interpreters: []Interpreter{{Path: "/usr/local/bin/python3", Version: "3.9.6"}, {}}},
	}
	for goos, want := range map[string]SystemInfo{
		"darwin": {MacOSVersion: "15.0 (Sequoia)", MacOSBuild: "24A335", OSName: "macOS", OSVersion: "15.0"},
		"linux":  {MacOSVersion: "Debian GNU/Linux 12 (bookworm)", MacOSBuild: "12", OSName: "Debian GNU/Linux", OSVersion: "12"},
	} {
		want.PythonVersion, want.PythonPath, want.Hostname, want.Username, want.MaiaPhase = "3.9.6", "/usr/local/bin/python3", "mac.local", "n", "Phase 112"
		want.BackupCreated, want.Home, want.UID, want.HomebrewPrefix, want.TimeZone = "2025-10-13T03:00:00Z", h, os.Getuid(), "/opt/homebrew", "Europe/Berlin"
		want.OldRoots = []string{root, h, "/Users/old/maia", "/Users/old/work"}
		o.GOOS = goos
		got := CaptureSystem(t.Context(), o)
		if got.Arch == "" || strings.Contains(got.Arch, "\x00") {
			t.Errorf("arch %q", got.Arch)
		}
		want.Arch = got.Arch
		b, err := json.Marshal(got)
		must(t, err)
		if w, err := json.Marshal(want); err != nil || string(w) != string(b) {
			t.Errorf("%s: got\n%s, want\n%s", goos, b, w)
		}
		var keys map[string]any
		must(t, json.Unmarshal(b, &keys))
		for _, key := range planKeys {
			if _, ok := keys[key]; !ok {
				t.Errorf("%s: no %s", goos, key)
			}
		}
	}
}

func TestSystemInfoOfLittle(t *testing.T) {
	root := t.TempDir()
	inv := takeRoot(t, root)
	r := new(recorded)
	none := environment(nil)
	for _, goos := range []string{"darwin", "linux", "freebsd"} {
		s := CaptureSystem(t.Context(), SystemOptions{
			Inventory: inv, Run: r.run, Getenv: none, GOOS: goos, Zone: time.Local, osRelease: root + "/none", localtime: root + "/none",
		})
		if s.MaiaPhase != "Unknown" || s.OSName == "" || s.TimeZone == "" || !slices.Equal(s.OldRoots, []string{root}) || s.Username == "" {
			t.Errorf("%s: %+v", goos, s)
		}
	}
	zones := t.TempDir()
	tree(t, zones, map[string]string{"usr/share/zoneinfo/America/Argentina/Ushuaia": "x", "localtime": "-> usr/share/zoneinfo/America/Argentina/Ushuaia"})
	s := CaptureSystem(t.Context(), SystemOptions{Inventory: inv, Run: r.run, Getenv: none, Zone: time.Local, localtime: zones + "/localtime"})
	if s.TimeZone != "America/Argentina/Ushuaia" {
		t.Errorf("zone %q", s.TimeZone)
	}
}

func TestPhase(t *testing.T) {
	for text, want := range map[string]string{
		"Phase 7": "Phase 7", "phase 7": "Unknown", "Phase  7": "Unknown", "xPhase 007x Phase 8": "Phase 007", "": "Unknown", "\xff\xfePhase 1": "Phase 1",
	} {
		root := t.TempDir()
		must(t, os.WriteFile(filepath.Join(root, "SYSTEM_STATE.md"), []byte(text), 0o644))
		if got := maiaPhase(root); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
	root := t.TempDir()
	tree(t, root, map[string]string{"SYSTEM_STATE.md": "fifo"})
	if got := maiaPhase(root); got != "Unknown" {
		t.Errorf("a FIFO says %q", got)
	}
}
