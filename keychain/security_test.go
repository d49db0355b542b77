package keychain

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"maia-dr/packaging/ci/faults/matrix"
)

// fakeSecurity returns a store whose tool is testdata/security, and the folder of its items.
func fakeSecurity(t *testing.T, limit time.Duration) (store Store, dir string) {
	t.Helper()
	dir = t.TempDir()
	t.Setenv("KEYCHAIN", dir)
	script, err := filepath.Abs("testdata/security")
	if err != nil {
		t.Fatal(err)
	}
	run := func(ctx context.Context, stdin []byte, name string, args ...string) (Result, error) {
		if name != "/usr/bin/security" {
			t.Errorf("runs %s", name)
		}
		return Run(ctx, stdin, script, args...)
	}
	return System(Options{Backend: BackendSecurity, TimeLimit: limit, Run: run}), dir
}

func securityTakes(secret []byte) bool {
	return len(secret) <= 128 && !bytes.ContainsAny(secret, "\n\r\x00")
}

func writeFile(t *testing.T, name, content string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestSecurityTool(t *testing.T) {
	store, dir := fakeSecurity(t, time.Minute)
	conform(t, store, securityTakes)
	arguments, err := os.ReadFile(filepath.Join(dir, "arguments"))
	if err != nil {
		t.Fatal(err)
	}
	for name, secret := range secrets {
		if len(secret) > 1 && bytes.Contains(arguments, secret) {
			t.Errorf("%s: the secret is in the arguments", name)
		}
	}
	if !bytes.Contains(arguments, []byte("\n-w\n")) || !bytes.Contains(arguments, []byte(item.Label)) {
		t.Errorf("arguments:\n%s", arguments)
	}
}

// A refused secret leaves the old one alone: the tool is not even run.
func TestSecurityToolRefuses(t *testing.T) {
	store, _ := fakeSecurity(t, time.Minute)
	if err := store.Set(t.Context(), item, NewSecret([]byte("old"))); err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{strings.Repeat("k", 129), password + "\n", password + "\r", password + "\x00"} {
		err := store.Set(t.Context(), item, NewSecret([]byte(secret)))
		if !errors.Is(err, errUnfit) || strings.Contains(err.Error(), password) {
			t.Errorf("set: %v", err)
		}
	}
	if got, err := store.Get(t.Context(), item); err != nil || string(got.Bytes()) != "old" {
		t.Errorf("get: %v", err)
	}
}

func TestSecurityToolExits(t *testing.T) {
	faults := matrix.Of(t, "29")
	sentinels := []error{ErrNotFound, ErrLocked, ErrDenied, ErrTimeout, ErrUnavailable, ErrEmpty}
	for code, want := range map[string]error{
		"44": ErrNotFound, "36": ErrLocked, "51": ErrDenied, "128": ErrDenied, "50": ErrUnavailable, "1": nil, "2": nil, "45": nil,
	} {
		store, dir := fakeSecurity(t, time.Minute)
		writeFile(t, filepath.Join(dir, "exit"), code)
		_, getErr := store.Get(t.Context(), item)
		for verb, err := range map[string]error{
			"get":    getErr,
			"set":    store.Set(t.Context(), item, NewSecret([]byte(password))),
			"delete": store.Delete(t.Context(), item),
		} {
			faults.Inject()
			if err == nil {
				t.Errorf("%s, exit %s: no error", verb, code)
				continue
			}
			for _, s := range sentinels {
				if errors.Is(err, s) != (errors.Is(s, want)) {
					t.Errorf("%s, exit %s: %v", verb, code, err)
				}
			}
		}
	}
}

// A tool that hangs at a question is ended, and the next call is not held up by it.
func TestSecurityToolHangs(t *testing.T) {
	matrix.Count(t, 1, "29")
	store, dir := fakeSecurity(t, time.Minute)
	writeFile(t, filepath.Join(dir, "hang"), "")
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := store.Get(ctx, item); !errors.Is(err, ErrTimeout) {
		t.Errorf("get: %v", err)
	}
	if err := os.Remove(filepath.Join(dir, "hang")); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Get(t.Context(), item); !errors.Is(err, ErrNotFound) {
		t.Errorf("get after the hang: %v", err)
	}
}

// An item that was stored empty, and a tool that stores nothing though it says it did.
func TestSecurityToolEmpty(t *testing.T) {
	matrix.Count(t, 1, "29")
	store, dir := fakeSecurity(t, time.Minute)
	writeFile(t, filepath.Join(dir, "item-"+item.Service+"-"+item.Account), "")
	if _, err := store.Get(t.Context(), item); !errors.Is(err, ErrEmpty) {
		t.Errorf("get: %v", err)
	}
	deaf := func(ctx context.Context, _ []byte, _ string, args ...string) (Result, error) {
		return Run(ctx, nil, filepath.Join(mustGetwd(t), "testdata/security"), args...)
	}
	err := NewSecurityTool(Options{Run: deaf}).Set(t.Context(), item, NewSecret([]byte(password)))
	if !errors.Is(err, ErrEmpty) {
		t.Errorf("set: %v", err)
	}
}

func mustGetwd(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestSecurityToolAbsent(t *testing.T) {
	matrix.Count(t, 1, "29")
	run := func(ctx context.Context, stdin []byte, _ string, args ...string) (Result, error) {
		return Run(ctx, stdin, filepath.Join(t.TempDir(), "security"), args...)
	}
	if _, err := NewSecurityTool(Options{Run: run}).Get(t.Context(), item); !errors.Is(err, ErrUnavailable) {
		t.Error(err)
	}
}

// No answer that is not understood is taken for a password, or told.
func TestParsePassword(t *testing.T) {
	for text, want := range map[string]string{
		"password: \"x\"\n":                          "x",
		"password: \"a \"b\" c\"\n":                  `a "b" c`,
		"a warning\npassword: \"x\"\n":               "x",
		"password: 0x68C3A9  \"h\\303\\251\"\n":      "h\xc3\xa9",
		"password: 0xFF00 \n":                        "\xff\x00",
		"password: \"\"\n":                           "",
		"password: \"password: \"x\"\"\nmore text\n": `password: "x"`,
	} {
		if got, err := parsePassword([]byte(text)); err != nil || string(got) != want {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "password", "password: " + password, "password: \"" + password, "password: \"", "password: 0x1",
		"password: 0xZZ", " password: \"x\"", "Password: \"x\""} {
		got, err := parsePassword([]byte(text + "\n"))
		if !errors.Is(err, errOutput) || strings.Contains(err.Error(), password) {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
	if _, err := parsePassword([]byte("password: \n")); !errors.Is(err, ErrEmpty) {
		t.Error(err)
	}
}

// What the tool says on standard error, where it also prints the password, is in no error.
func TestSecurityToolTellsNothing(t *testing.T) {
	for _, result := range []Result{
		{Exit: 1, Stderr: []byte(password)}, {Exit: 44, Stderr: []byte(password)}, {Stderr: []byte("password: " + password)},
	} {
		var args []string
		run := func(_ context.Context, _ []byte, _ string, a ...string) (Result, error) {
			args = slices.Concat(args, a)
			return result, nil
		}
		store := NewSecurityTool(Options{Run: run})
		_, err := store.Get(t.Context(), item)
		err = errors.Join(err, store.Set(t.Context(), item, NewSecret([]byte(password))))
		if err == nil || strings.Contains(err.Error(), password) {
			t.Errorf("%v", err)
		}
		if strings.Contains(strings.Join(args, " "), password) {
			t.Errorf("arguments %q", args)
		}
	}
}

func TestRun(t *testing.T) {
	result, err := Run(t.Context(), []byte("in"), "/bin/sh", "-c", "cat >&2; exit 7")
	if err != nil || result.Exit != 7 || string(result.Stderr) != "in" {
		t.Errorf("%+v, %v", result, err)
	}
	// More than is kept does not block the program.
	result, err = Run(t.Context(), nil, "/bin/sh", "-c", "head -c 1000000 /dev/zero >&2")
	if err != nil || result.Exit != 0 || len(result.Stderr) != maxStderr {
		t.Errorf("exit %d, %d bytes, %v", result.Exit, len(result.Stderr), err)
	}
}
