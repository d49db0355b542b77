package cli_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"maia-dr/engine/cli"
	"maia-dr/engine/state"
	"maia-dr/keychain"
	"maia-dr/launchd"
)

// TestSetupOnMac: launchd starts the program that has macOS ask, setup waits for what it found and takes the agent away
// again; the rest follows.
func TestSetupOnMac(t *testing.T) {
	d, m := newMac(t)
	d.asksForAccess = true
	d.typed = []string{"seven grey herons over the weir", "seven grey herons over the weir"}
	d.tty = &terminal{answers: []string{"", "25:00", "04:15"}}
	probed := 0
	d.jobs = launchd.Manager{Home: d.fix.Home, UID: 501, Run: func(ctx context.Context, name string, args ...string) (int, error) {
		exit, err := m.run(ctx, name, args...)
		if args[0] == "bootstrap" && strings.HasSuffix(args[2], "com.maia.recovery-probe.plist") {
			probed++
			program := readTree(t, args[2])["ProgramArguments"].([]any)
			if program[0] != applicationPath || program[1] != "probe" {
				t.Errorf("%v", program)
			}
			d.clock = d.clock.Add(1)
			d.run(0, "probe")
		}
		return exit, err
	}}
	out := d.run(0, "setup")
	d.says(out, "1 of 8", "the scheduled backups can use every folder", "Restore drill: passed", "a backup every day at 04:15", "Maia is safe", "Recovery sheet", "is no time of day")
	if probed != 1 || m.loaded["com.maia.recovery-probe"] || !m.loaded[cli.BackupLabel] || !m.loaded[cli.MenuLabel] {
		t.Errorf("%d probes; loaded %v", probed, m.loaded)
	}
	if left, err := filepath.Glob(filepath.Join(d.fix.Home, "Library/LaunchAgents/*probe*")); err != nil || len(left) > 0 {
		t.Errorf("%v, %v", left, err)
	}
	d.says(d.run(3, "status"), "Restore: proven")

	// The way out, as a person who wants the password gone as well.
	d.tty = &terminal{answers: []string{"n"}}
	d.says(d.run(0, "uninstall"), "Nothing was removed")
	d.tty = &terminal{answers: []string{"y", "y"}}
	address := keychain.Item{Service: keychain.Service, Account: "webhook"}
	if err := d.store.Set(t.Context(), address, keychain.NewSecret([]byte("https://example.test/token"))); err != nil {
		t.Fatal(err)
	}
	out = d.run(0, "uninstall")
	if _, err := d.store.Get(t.Context(), address); !errors.Is(err, keychain.ErrNotFound) {
		t.Errorf("the address of the webhook is still there: %v", err)
	}
	d.says(out, "1 backup stays in "+filepath.Join(d.fix.OneDrive, "MaiaBackups"), "no longer in the Keychain", "move /Applications/Maia Recovery.app to the bin")
	if len(m.loaded) > 0 {
		t.Errorf("still loaded: %v", m.loaded)
	}
	if _, err := os.Lstat(d.state); !os.IsNotExist(err) {
		t.Error("the state directory is still there")
	}
	d.run(12, "password", "check")
	// A Keychain that refuses is told of, and keeps nothing else from being removed.
	d.store.SetFault(keychain.ErrDenied)
	d.says(d.run(3, "uninstall", "--yes", "--password"), "Still in the Keychain", "vault password", "refused")
}

// What macOS refuses is told, and is no reason to leave out the rest.
func TestSetupRefused(t *testing.T) {
	d, m := newMac(t)
	d.asksForAccess = true
	d.jobs = launchd.Manager{Home: d.fix.Home, UID: 501, Run: func(ctx context.Context, name string, args ...string) (int, error) {
		if args[0] == "bootstrap" && strings.HasSuffix(args[2], "com.maia.recovery-probe.plist") {
			dir := state.Dir{Path: d.state}
			if err := dir.Create(); err != nil {
				return 0, err
			}
			return 0, dir.SaveProbe(&state.Probe{At: d.clock.Add(1), Results: []state.ProbeResult{
				{What: "home", Path: "/Users/kim", State: state.AccessPrivacy, Error: "operation not permitted"},
				{What: "onedrive_folder", Path: "/Users/kim/OneDrive", State: state.AccessPrivacy, Error: "operation not permitted"},
			}})
		}
		return m.run(ctx, name, args...)
	}}
	out := d.run(1, "setup", "--yes")
	d.says(out, "Access: failed", "cannot use /Users/kim/OneDrive (operation not permitted)", "Full Disk Access", "First backup: full_", "not done: no password", "Not everything is done")
	if strings.Contains(out, "/Users/kim (") {
		t.Error("the home folder itself is not needed")
	}
}
