package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"mvdan.cc/sh/v3/syntax"

	"maia-dr/engine/fixture"
	"maia-dr/packaging/ci/policy"
)

// TestDocumentsRun runs what README.md and docs/*.md tell their readers to type: every block of sh, in order, with the
// program itself, in the home of a sample Maia that has two backups. Notes before a block:
//
//	<!-- mac -->              only a Mac can run it
//	<!-- by hand: why -->     it asks, takes long, or needs what a test cannot have
//
// Such a block is only read (TestDocumentsNameWhatExists), and so is an indented one. A line ends with 0, or with what
// "# exit N" at its end says. The sample lies in a test's folder; so do /tmp, /Volumes and /usr/local of the documents. A
// backup's name in them is that of the older backup, and so is $ID; ~/OneDrive is its OneDrive folder. Targets of make and "go run" are looked up and not run: the demonstration has
// a test of its own.
func TestDocumentsRun(t *testing.T) {
	t.Parallel()
	docs := documents(t)
	var names []string
	for name, d := range docs {
		if len(toRun(d)) > 0 {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		t.Fatal("no document has anything to run")
	}
	slices.Sort(names)
	w := newReader(t)
	for _, name := range names {
		for _, problem := range w.read(docs[name]) {
			t.Errorf("%s:%s", name, problem)
		}
	}
}

// statement is a command of a document, as the shell is to run it.
type statement struct {
	line int
	text string
	want int
}

// toRun are the statements of a document that can be run here.
func toRun(d *policy.Document) (out []statement) {
	for _, b := range d.Blocks {
		if b.Fenced && b.Language == "sh" && b.Note != "mac" && !strings.HasPrefix(b.Note, "by hand: ") {
			out = append(out, statements(b)...)
		}
	}
	return out
}

var exitComment = regexp.MustCompile(`#.*\bexit (\d+)\b`)

// statements are the commands of a block with the exit codes that they announce. Those that are looked up only do nothing.
func statements(b policy.Block) (out []statement) {
	text := strings.Join(b.Lines, "\n")
	file, err := syntax.NewParser(syntax.Variant(syntax.LangBash)).Parse(strings.NewReader(text), "")
	if err != nil {
		return nil // TestDocumentsNameWhatExists says so
	}
	for _, s := range file.Stmts {
		st := statement{line: b.Line + int(s.Pos().Line()) - 1, text: text[s.Pos().Offset():s.End().Offset()]}
		if call, ok := s.Cmd.(*syntax.CallExpr); ok && len(call.Args) > 0 {
			if words := literals(call); words[0] == "make" || words[0] == "go" && len(words) > 1 && words[1] == "run" {
				continue
			}
		}
		if m := exitComment.FindStringSubmatch(b.Lines[s.End().Line()-1]); m != nil {
			st.want, _ = strconv.Atoi(m[1])
		}
		out = append(out, st)
	}
	return out
}

// reader is somebody who does what a document says, on a sample Maia.
type reader struct {
	t    *testing.T
	base string
	env  []string
	id   string // of the older backup
}

// tools are what a document may use beside the program. Python is none of them: listing its packages would take seconds.
var tools = []string{"bash", "sh", "awk", "cat", "chmod", "cp", "cut", "date", "diff", "env", "find", "git", "grep", "gzip", "head", "less", "ln", "ls", "mkdir", "mv", "openssl",
	"perl", "printf", "shasum", "sha256sum", "rm", "rmdir", "sed", "sh", "sort", "tail", "tar", "tee", "touch", "tr", "uname", "wc", "zsh", "mktemp", "dd", "od", "df", "sleep", "ps", "stat", "sync", "test", "true",
	"basename", "dirname", "readlink", "id", "cmp", "comm", "xargs", "expr", "seq", "tty", "stty", "kill"}

func newReader(t *testing.T) *reader {
	t.Helper()
	w := &reader{t: t, base: t.TempDir()}
	fix, err := fixture.Make(t.Context(), fixture.Options{Base: filepath.Join(w.base, "mac"), Seed: 3})
	if err != nil {
		t.Fatal(err)
	}
	bin, usr := filepath.Join(w.base, "bin"), filepath.Join(w.base, "usr", "bin")
	for _, dir := range []string{bin, usr, filepath.Join(w.base, "tmp"), filepath.Join(w.base, "Volumes", "STICK"), filepath.Join(fix.Home, "Desktop"), filepath.Join(w.base, "usr/local/var/node_exporter"), w.clone()} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	self, err := os.Executable()
	if err == nil {
		err = os.Symlink(self, filepath.Join(bin, "maia-dr"))
	}
	if err == nil {
		err = os.CopyFS(filepath.Join(w.clone(), "docs"), os.DirFS(module+"/docs"))
	}
	if err == nil {
		err = os.Symlink(fix.OneDrive, filepath.Join(fix.Home, "OneDrive"))
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, tool := range tools {
		if p, err := exec.LookPath(tool); err == nil {
			_ = os.Symlink(p, filepath.Join(usr, tool))
		}
	}
	w.env = []string{"PATH=" + bin + ":" + usr, "HOME=" + fix.Home, "TMPDIR=" + filepath.Join(w.base, "tmp"), "LC_ALL=C.UTF-8", "TZ=" + fmt.Sprintf("Etc/GMT%+d", time.Now().UTC().Hour()-12),
		"MAIA_TEST_EXECUTABLE=" + filepath.Join(bin, "maia-dr"), "MAIA_TEST_SYSTEMCTL=" + filepath.Join(w.base, "systemctl")}
	// The sample has two files with secrets that it knows nothing of yet.
	settings := filepath.Join(fix.Home, ".config", "maia-dr", "config.toml")
	err = os.MkdirAll(filepath.Dir(settings), 0o700)
	if err == nil {
		err = os.WriteFile(settings, []byte("[secrets]\nfiles = [\"claude/config/integrations.json\", \"claude/tools/research/migrate_pages.py\"]\n"), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	w.must("backup", "--no-vault")
	if _, err := fix.Day(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	w.must("backup", "--no-vault")
	w.must("drill")
	w.must("status") // all is well: what a document shows then ends with 0
	ids := regexp.MustCompile(`full_\d{8}_\d{6}`).FindAllString(w.must("list", "--json"), -1)
	slices.Sort(ids)
	w.id = ids[0]
	w.env = append(w.env, "ID="+w.id)
	return w
}

// clone is the folder that the reader is in: this module, as far as its documents go.
func (w *reader) clone() string { return filepath.Join(w.base, "clone") }

func (w *reader) must(args ...string) string {
	w.t.Helper()
	cmd := exec.CommandContext(w.t.Context(), filepath.Join(w.base, "bin", "maia-dr"), args...)
	cmd.Env, cmd.Dir, cmd.Stderr = w.env, w.clone(), w.t.Output()
	out, err := cmd.Output()
	if err != nil {
		w.t.Fatalf("maia-dr %q: %v\n%s", args, err, out)
	}
	return string(out)
}

var (
	elsewhere = regexp.MustCompile(`(^|[\s="'(:<>])(/(?:tmp|Volumes|usr/local|opt|Applications)/)`)
	backupID  = regexp.MustCompile(`full_20\d{6}(_\d{6})?`)
	// refused would reach beyond the test's folder.
	refused = regexp.MustCompile(`(^|[\s;|&(])(sudo|brew|curl|wget|ssh|scp|open|launchctl|systemctl|apt-get|git (clone|push|pull|fetch))\b`)
)

// here is a statement with the test's folders and names.
func (w *reader) here(text string) string {
	text = elsewhere.ReplaceAllString(text, "$1"+w.base+"$2")
	return backupID.ReplaceAllString(text, w.id)
}

// read runs a document's statements in one shell, and returns those that ended otherwise than it says.
func (w *reader) read(d *policy.Document) (problems []string) {
	const mark = "\x1e"
	script := &strings.Builder{}
	var all []statement
	for _, s := range toRun(d) {
		if m := refused.FindString(s.text); m != "" {
			problems = append(problems, fmt.Sprintf("%d: a test does not run %s: mark the block <!-- mac --> or <!-- by hand: why -->", s.line, strings.TrimSpace(m)))
			continue
		}
		all = append(all, s)
		fmt.Fprintf(script, "%s\nprintf '\\036%%d\\036' $?\n", w.here(s.text))
	}
	ctx, cancel := context.WithTimeout(w.t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "--norc", "-c", script.String())
	cmd.Env, cmd.Dir = w.env, w.clone()
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	var exit *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
		w.t.Fatal(err)
	}
	parts := strings.Split(out.String(), mark)
	for i, s := range all {
		if 2*i+1 >= len(parts) {
			problems = append(problems, fmt.Sprintf("%d: %s: the shell came to its end before this\n%s", s.line, s.text, parts[len(parts)-1]))
			break
		}
		if got := parts[2*i+1]; got != strconv.Itoa(s.want) {
			problems = append(problems, fmt.Sprintf("%d: %s: exit code %s, want %d\n%s", s.line, s.text, got, s.want, parts[2*i]))
		}
	}
	return problems
}

// TestDocumentsRunBites: a line that ends otherwise than it says is found, and what must not be run is not.
func TestDocumentsRunBites(t *testing.T) {
	w := &reader{t: t, base: t.TempDir(), env: os.Environ(), id: "full_20300101_000000"}
	if err := os.MkdirAll(filepath.Join(w.clone()), 0o700); err != nil {
		t.Fatal(err)
	}
	const marked = "```sh\nmake build   # nothing\ngo run . demo\nX=1\ntest $X = 1 &&\n  true\nfalse        # none: exit 1\nsh -c 'exit 3'   # exit 3\n(exit 2) # says nothing\n```\n" +
		"<!-- mac -->\n```sh\nfalse\n```\n<!-- by hand: asks -->\n\n```sh\nfalse\n```\n\n    false\n\n```text\nfalse\n```\n```sh\nfalse | cat\ntrue # exit 4\nsudo rm -r /\nexit 5\ntrue\n```\n"
	got := w.read(policy.ParseDocument(marked))
	want := []string{"29: a test does not run sudo", "9: (exit 2): exit code 2, want 0", "28: true: exit code 0, want 4", "30: exit 5: the shell came to its end"}
	if len(got) != len(want) {
		t.Fatalf("%q", got)
	}
	for i := range want {
		if !strings.HasPrefix(got[i], want[i]) {
			t.Errorf("%q, want %q", got[i], want[i])
		}
	}
	if got, want := w.here("cat /tmp/x '/Volumes/a' ~/tmp/y full_20251013 >/usr/local/z"), path.Clean("cat "+w.base+"/tmp/x '"+w.base+"/Volumes/a' ~/tmp/y "+w.id+" >"+w.base+"/usr/local/z"); got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
