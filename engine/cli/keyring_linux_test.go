package cli_test

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"maia-dr/engine/fixture"
	"maia-dr/keychain"
)

// session is what happens in a desktop session with a Secret Service: the password goes in once, and after that
// nothing is asked or given.
const session = `set -e
printf 'login password' | gnome-keyring-daemon --unlock --components=secrets > /dev/null 2>&1
printf 'a phrase for the keyring' > password
maia-dr password set --vault-password-file password
rm password
maia-dr backup --maia-root "$ROOT" --quiet
maia-dr password check
maia-dr restore --to restored --yes --quiet
cmp restored/claude/tools/production_api_credentials.py "$ROOT/claude/tools/production_api_credentials.py"
printf 'another phrase, the second' | maia-dr password rotate --vault-password-file -
maia-dr backup --maia-root "$ROOT" --quiet
maia-dr list
maia-dr password check
maia-dr password delete --yes
if maia-dr password check; then exit 1; fi
`

// TestSecretService is the whole way with a real keyring: set, backup, restore, rotate, delete. Nothing of it shows the
// password or a planted secret: no argument, no environment, no output, no file of the state directory.
func TestSecretService(t *testing.T) {
	base := t.TempDir()
	fix, err := fixture.Make(t.Context(), fixture.Options{Base: filepath.Join(base, "mac"), Seed: 3})
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	bin := filepath.Join(base, "bin")
	if err := os.Mkdir(bin, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(self, filepath.Join(bin, "maia-dr")); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "dbus-run-session", "--", "bash", "-c", session)
	cmd.Dir = base
	cmd.Env = []string{
		"PATH=" + bin + ":" + os.Getenv("PATH"), "HOME=" + fix.Home, "ROOT=" + fix.Root, "MAIA_DR_STATE_DIR=" + filepath.Join(base, "state"),
		"XDG_RUNTIME_DIR=" + base, "XDG_DATA_HOME=" + filepath.Join(base, "data"), "TMPDIR=" + base, useSystemKeychain + "=1",
	}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	looks, leaks := watchProcesses(t, done, fix)
	if err := <-done; err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	if looks < 100 {
		t.Errorf("only %d looks at processes", looks)
	}
	for where := range leaks {
		t.Errorf("a secret was seen in %s", where)
	}
	for _, want := range []string{"password 1, ", "password 2", "no longer in the Keychain", "maia-dr password set"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("it does not say %q:\n%s", want, out.String())
		}
	}
	noSecretIn(t, "the output", out.Bytes(), fix)
	err = filepath.WalkDir(filepath.Join(base, "state"), func(path string, d os.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() && !strings.Contains(path, "/chunks/") {
			var b []byte
			if b, err = os.ReadFile(path); err == nil {
				noSecretIn(t, path, b, fix)
			}
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// secretsOf are the passwords of the session and the planted secrets that some rule captures.
func secretsOf(fix *fixture.Fixture) []string {
	out := []string{"a phrase for the keyring", "another phrase, the second"}
	for _, p := range fix.Secrets {
		if p.Secret && !p.Stray && len(p.Value) >= 8 {
			out = append(out, p.Value)
		}
	}
	return out
}

func noSecretIn(t *testing.T, where string, b []byte, fix *fixture.Fixture) {
	t.Helper()
	for i, s := range secretsOf(fix) {
		if bytes.Contains(b, []byte(s)) {
			t.Errorf("secret %d stands in %s", i, where)
		}
	}
}

// watchProcesses looks at the arguments and the environment of every maia-dr until the session ends.
func watchProcesses(t *testing.T, done chan error, fix *fixture.Fixture) (looks int, leaks map[string]bool) {
	t.Helper()
	leaks = map[string]bool{}
	secrets := secretsOf(fix)
	for {
		select {
		case err := <-done:
			done <- err
			return looks, leaks
		case <-time.After(2 * time.Millisecond):
		}
		processes, err := filepath.Glob("/proc/[0-9]*")
		if err != nil {
			t.Fatal(err)
		}
		for _, dir := range processes {
			args, _ := os.ReadFile(dir + "/cmdline")
			if !bytes.Contains(args, []byte("maia-dr")) || bytes.Contains(args, []byte("bash")) {
				continue // the session's own script holds the passwords
			}
			environment, _ := os.ReadFile(dir + "/environ")
			looks++
			for _, s := range secrets {
				if bytes.Contains(args, []byte(s)) || bytes.Contains(environment, []byte(s)) {
					leaks["arguments or environment of "+string(bytes.ReplaceAll(args, []byte{0}, []byte(" ")))[:20]] = true
				}
			}
		}
	}
}

// useSystemKeychain is the variable that lets the tests' maia-dr use the platform's Keychain.
const useSystemKeychain = "MAIA_TEST_SYSTEM_KEYCHAIN"

func testKeychain() func(string) keychain.Store {
	if os.Getenv(useSystemKeychain) != "" {
		return func(string) keychain.Store { return keychain.System(keychain.Options{}) }
	}
	return memoryKeychain
}
