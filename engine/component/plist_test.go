package component

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"

	"howett.net/plist"

	"maia-dr/engine/vault"
)

const plistHead = `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0"><dict>
`

// xmlPlist makes a property list of the keys given, in XML.
func xmlPlist(body string) string { return plistHead + body + "\n</dict></plist>\n" }

// agentPlist makes an agent that runs a command.
func agentPlist(label string, args ...string) string {
	body := "<key>Label</key><string>" + label + "</string><key>ProgramArguments</key><array>"
	for _, a := range args {
		body += "<string>" + a + "</string>"
	}
	return xmlPlist(body + "</array>")
}

// What an agent's property list says, and whether its program is there.
func TestReadAgent(t *testing.T) {
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "run"), []byte("#!/bin/sh\n"), 0o755))
	must(t, os.WriteFile(filepath.Join(dir, "text"), nil, 0o644))
	for program, want := range map[string]bool{
		filepath.Join(dir, "run"): true, filepath.Join(dir, "text"): false, filepath.Join(dir, "nothing"): false, dir: false, "sh": true, "no-such-program": false, "./run": false,
	} {
		text := agentPlist("com.maia.x", program)
		for _, form := range []string{text, binaryOf(t, text)} {
			a, err := ReadAgent("x.plist", []byte(form))
			if err != nil || a.Label != "com.maia.x" || a.Program != program || a.Disabled {
				t.Errorf("%+v, %v", a, err)
			}
			if path, ok := a.ProgramPath(); ok != want || !ok && path != program {
				t.Errorf("%s: %s, %v", program, path, ok)
			}
		}
	}
	a, err := ReadAgent("x.plist", []byte(xmlPlist("<key>Disabled</key><true/>")))
	if path, ok := a.ProgramPath(); err != nil || !a.Disabled || ok || path != "" {
		t.Errorf("%+v, %v, %v", a, err, ok)
	}
	if _, err := ReadAgent("x.plist", []byte("no list")); !errors.Is(err, vault.ErrUnreadable) {
		t.Errorf("%v", err)
	}
}

// binaryOf turns a property list into its binary form.
func binaryOf(t testing.TB, text string) string {
	t.Helper()
	var v any
	_, err := plist.Unmarshal([]byte(text), &v)
	must(t, err)
	b, err := plist.Marshal(v, plist.BinaryFormat)
	must(t, err)
	return string(b)
}

func TestAgentIsRead(t *testing.T) {
	text := xmlPlist(`<key>Label</key><string>com.maia.vtt-watcher</string>
<key>ProgramArguments</key><array><string>/usr/local/bin/python3</string><string>/Users/n/git/maia/claude/tools/vtt.py</string></array>
<key>WorkingDirectory</key><string>/Users/n/job/</string>
<key>EnvironmentVariables</key><dict><key>MAIA_ROOT</key><string>/Users/n/other</string><key>PATH</key><string>/a:/b</string></dict>`)
	for _, b := range []string{text, binaryOf(t, text), "\xef\xbb\xbf" + text, "\n" + text} {
		top, err := vault.ReadPlist([]byte(b))
		must(t, err)
		a := agentOf("com.maia.vtt-watcher.plist", top)
		want := Agent{
			File: "com.maia.vtt-watcher.plist", Label: "com.maia.vtt-watcher", Program: "/usr/local/bin/python3",
			WorkingDirectory: "/Users/n/job/", MaiaRoot: "/Users/n/other",
			arguments: []string{"/usr/local/bin/python3", "/Users/n/git/maia/claude/tools/vtt.py"}, path: "/a:/b",
		}
		if !reflect.DeepEqual(a, want) {
			t.Errorf("got %+v, want %+v", a, want)
		}
		if want := []string{"/Users/n/other", "/Users/n/job", "/Users/n/git/maia"}; !slices.Equal(a.roots(), want) {
			t.Errorf("roots %q, want %q", a.roots(), want)
		}
	}
	for _, body := range []string{
		"<key>ProgramArguments</key><string>/bin/sh</string>", "<key>ProgramArguments</key><array><integer>1</integer></array>",
		"<key>EnvironmentVariables</key><array/>", "<key>Label</key><integer>1</integer>", "", "<key>WorkingDirectory</key><string>/</string>",
	} {
		top, err := vault.ReadPlist([]byte(xmlPlist(body)))
		must(t, err)
		if a := agentOf("f", top); len(a.roots()) != 0 || a.Label != "" {
			t.Errorf("%s: %+v", body, a)
		}
	}
}

func FuzzAgentOf(f *testing.F) {
	agent := agentPlist("com.maia.x", "/usr/bin/python3", "--token", "abc", "/Users/n/git/maia/claude/tools/x.py")
	for _, s := range []string{agent, binaryOf(f, agent), "bplist00"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		top, err := vault.ReadPlist(b)
		if err != nil {
			return
		}
		a := agentOf("x.plist", top)
		for _, dir := range a.roots() {
			if !filepath.IsAbs(dir) || dir == "/" || filepath.Clean(dir) != dir {
				t.Fatalf("root %q", dir)
			}
		}
	})
}
