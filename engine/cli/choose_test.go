package cli_test

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"maia-dr/engine/cli"
	"maia-dr/keychain"
	"maia-dr/resources"
)

// answers is a terminal on which somebody answers.
type answers struct {
	io.Reader
	asked *strings.Builder
}

func (a answers) Write(p []byte) (int, error) { return a.asked.Write(p) }
func (answers) Close() error                  { return nil }

// Several accounts are asked about once; the answer is remembered with the repository.
func TestSeveralAccountsAreAskedAboutOnce(t *testing.T) {
	r := newGraphRig(t)
	second := filepath.Join(filepath.Dir(r.fix.OneDrive), "OneDrive-Contoso")
	if err := os.Mkdir(second, 0o700); err != nil {
		t.Fatal(err)
	}
	var asked strings.Builder
	run := func(answer string, args ...string) (int, string) {
		asked.Reset()
		var out bytes.Buffer
		exit := cli.Run(t.Context(), cli.Program{
			Env: r.env, Version: "0.1.0-test", Script: resources.RestoreScript, Args: args, In: strings.NewReader(""), Out: &out, Err: &out, Terminal: true,
			OpenTTY:  func() (io.ReadWriteCloser, error) { return answers{strings.NewReader(answer), &asked}, nil },
			Keychain: func(string) keychain.Store { return r.store },
		})
		return exit, out.String()
	}
	for _, bad := range []string{"3\n", "0\n", "x\n", "\n"} {
		if exit, out := run(bad, "backup", "--no-vault"); exit != cli.ExitUsage || !strings.Contains(out, "none of the numbers") {
			t.Errorf("%q: %d %s", bad, exit, out)
		}
	}
	if exit, _ := run("1\n", "backup", "--no-vault", "--quiet"); exit != cli.ExitNotFound || asked.Len() > 0 {
		t.Errorf("--quiet: %d, asked %q", exit, asked.String())
	}
	exit, out := run("1\n", "backup", "--no-vault")
	if exit != cli.ExitDone || !strings.Contains(asked.String(), "1  "+second) || !strings.Contains(asked.String(), "2  "+r.fix.OneDrive) {
		t.Errorf("%d, asked %q: %s", exit, asked.String(), out)
	}
	if _, err := os.Stat(filepath.Join(second, "MaiaBackups", "repository.json")); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(r.fix.OneDrive, "MaiaBackups")); err == nil {
		t.Error("the other account has a repository too")
	}
	// The place that a restore proposes is the Maia in use, which is said before it is agreed to.
	exit, out = run("\n", "restore", "--dry-run")
	if exit != cli.ExitDone || !strings.Contains(asked.String(), "Where should Maia go? ["+r.fix.Root+"]") || !strings.Contains(out, "NOTE: "+r.fix.Root+" is there and not empty") {
		t.Errorf("%d, asked %q: %s", exit, asked.String(), out)
	}
	if exit, out = run(t.TempDir()+"/new\n", "restore", "--to", t.TempDir()+"/new", "--dry-run"); exit != cli.ExitDone || strings.Contains(out, "is there and not empty") {
		t.Errorf("%d: %s", exit, out)
	}
	if exit, out := run("", "backup", "--no-vault"); exit != cli.ExitDone || asked.Len() > 0 {
		t.Errorf("the second time: %d, asked %q: %s", exit, asked.String(), out)
	}
}
