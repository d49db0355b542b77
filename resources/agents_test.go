package resources

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"maia-dr/packaging/ci/faults/matrix"
)

// wrapLaunchctl gives the machine a launchctl that keeps its state and a log in a folder, which is returned. An agent that is
// booted out is there for two more looks; the first bootstrap of each fails, as does every one of com.maia.refused.
func (m *machine) wrapLaunchctl() string {
	m.t.Helper()
	dir := m.t.TempDir()
	write := func(name, text string) {
		m.program(name, "#!"+filepath.Join(m.bin, "sh")+"\nD='"+dir+"'\n"+text+"\n")
	}
	write("launchctl", `printf 'launchctl %s\n' "$*" >> "$D/log"
label=${2##*/}
case $1 in
enable) ;;
print) if [ -f "$D/going.$label" ]; then
    printf x >> "$D/going.$label"
    if [ "$(wc -c < "$D/going.$label")" -gt 2 ]; then rm "$D/going.$label" "$D/is.$label"; exit 113; fi
  fi
  [ -f "$D/is.$label" ] || exit 113 ;;
bootout) : > "$D/going.$label" ;;
bootstrap) label=${3##*/}; label=${label%.plist}
  [ -f "$D/desktop" ] && exit 125
  [ -f "$D/is.$label" ] && exit 37
  if [ ! -f "$D/tried.$label" ]; then : > "$D/tried.$label"; exit 5; fi
  if [ "$label" = com.maia.refused ]; then exit 5; fi
  : > "$D/is.$label" ;;
*) exit 64 ;;
esac`)
	write("xattr", `printf 'xattr %s\n' "$*" >> "$D/log"; exit 1`)
	write("xcode-select", `exit 2`)
	return dir
}

func agentPlist(label, program, more string) string {
	return plistHead + "<dict>\n<key>EnvironmentVariables</key><dict><key>Label</key><string>not this</string></dict><key>Label</key><string>" + label +
		"</string>\n<key>ProgramArguments</key><array><string>" + program + "</string><string>/no/program</string></array>" + more + "</dict>\n</plist>\n"
}

// TestAgents: agents are loaded last, those that can run, by what launchctl is like; a second run leaves them alone, and what a
// killed one did not load it loads.
func TestAgents(t *testing.T) {
	t.Parallel()
	faults := matrix.Of(t, "27")
	const there = "/Users/naythan/git/maia/run.sh"
	agents := map[string]string{"com.maia.text.plist": "/Users/naythan"}
	for label, list := range map[string]string{
		"com.maia.a": agentPlist("com.maia.a", there, ""), "com.maia.old": agentPlist("com.maia.old", "/Users/naythan/git/maia/run.sh", ""), "com.maia.refused": agentPlist("com.maia.refused", "sh", ""),
		"com.maia.missing": agentPlist("com.maia.missing", "/usr/local/bin/nothing", ""), "com.maia.disaster-recovery": agentPlist("com.maia.disaster-recovery", "/Applications/x/maia-dr", ""),
		"com.maia.disabled": agentPlist("com.maia.disabled", there, "<key>Disabled</key><true/>"), "com.maia.again": agentPlist("com.maia.a", there, ""),
		"com.maia.slash": agentPlist("com/maia", there, ""), "com.maia.nothing": plistHead + "<dict><key>Label</key><string>com.maia.nothing</string></dict></plist>", "com.maia.python": agentPlist("com.maia.python", "/usr/bin/python3", ""),
	} {
		faults.Inject()
		agents[label+".plist"] = list
	}
	b := homeRepository(t, agents, nil, func(b *builder) {
		b.git = []string{"version macos 14.6", "version python 3.9.6", "version homebrew 4.3.1", "version git 2.50.1"}
		b.items = append(b.items, item{component: "maia_code", kind: 'f', path: "run.sh", mode: 0o755, mtime: b.items[0].mtime, body: []byte("#!/bin/sh\n")})
	})
	script := filepath.Join(b.dir, "restore_maia.sh")
	m := newMachine(t, "bsdtar", "perl")
	m.wrapPlutil()
	state := m.wrapLaunchctl()
	write(t, filepath.Join(state, "is.com.maia.old"), nil)
	args := []string{"--to", m.home + "/maia", "--yes", "--vault-password-file", m.passwordFile("correct horse")}
	notLoaded := []string{
		"  com.maia.text.plist: it ", "  com.maia.again.plist: another file has the same label", "  com.maia.disabled.plist: its file says", "  com.maia.slash.plist: it has no label",
		"  com.maia.nothing.plist: it names no program", "/bin/nothing does not exist", "  com.maia.refused.plist: launchctl bootstrap ended with 5",
		"\nBackups are not running: install Maia Recovery, run `maia-dr setup`.\n2 agents are loaded.\n", "/usr/bin/python3 ",
	}
	if _, err := os.Stat("/usr/bin/python3"); err == nil {
		notLoaded = append(notLoaded, "needs the Command Line Tools")
	}
	m.run(script, append(args, "--no-agents")...).want(t, 0, "  agents are not loaded: --no-agents", "\n0 agents are loaded.\n")
	if _, err := os.Stat(filepath.Join(state, "log")); err == nil {
		t.Error("launchctl was called in spite of --no-agents")
	}
	m.run(script, append(args, "--dry-run")...).want(t, 0, "  agents are loaded at the end")
	// As if the first run had been killed before it loaded any; one of them is loaded from before.
	m.run(script, args...).want(t, 3, append(notLoaded, "Agents are not loaded yet.")...)
	log, err := os.ReadFile(filepath.Join(state, "log"))
	if err != nil {
		t.Fatal(err)
	}
	gui, home := fmt.Sprintf("launchctl %%s gui/%d", os.Getuid()), m.home+"/Library/LaunchAgents/"
	for _, line := range []string{
		fmt.Sprintf(gui, "enable") + "/com.maia.a\n", fmt.Sprintf(gui, "bootstrap") + " " + home + "com.maia.a.plist\n", "xattr -d com.apple.quarantine " + home + "com.maia.a.plist\n",
	} {
		if !strings.Contains(string(log), line) {
			t.Errorf("never %q", line)
		}
	}
	if strings.Contains(string(log), "bootout") || strings.Contains(string(log), "missing") {
		t.Errorf("too much was done:\n%s", log)
	}
	if err := os.WriteFile(filepath.Join(home, "com.maia.old.plist"), []byte("changed"), 0o644); err != nil {
		t.Fatal(err)
	}
	// A changed one is put back and loaded anew; the other one is left alone.
	if err := os.Remove(filepath.Join(state, "log")); err != nil {
		t.Fatal(err)
	}
	m.run(script, args...).want(t, 3, notLoaded...)
	if log, err = os.ReadFile(filepath.Join(state, "log")); err != nil {
		t.Fatal(err)
	}
	out := fmt.Sprintf(gui, "bootout") + "/com.maia.old\n"
	if strings.Count(string(log), out) != 1 || strings.Count(string(log), "bootout") != 1 || !strings.Contains(string(log), "bootstrap "+fmt.Sprintf("gui/%d ", os.Getuid())+home+"com.maia.old.plist") {
		t.Errorf("the changed agent was not loaded anew, or others were:\n%s", log)
	}
	write(t, filepath.Join(state, "desktop"), nil)
	if err := os.Remove(filepath.Join(state, "is.com.maia.a")); err != nil {
		t.Fatal(err)
	}
	m.run(script, args...).want(t, 3, "log in at the Mac's desktop", "\n1 agent is loaded.\n")
	// The report is the summary, and what is left to a person.
	m.program("sw_vers", "#!/bin/sh\necho 15.1\n")
	for tool, says := range map[string]string{"git": "git version 2.50.1 (Apple Git-155)", "brew": "Homebrew 4.4.0"} {
		m.program(tool, "#!/bin/sh\necho '"+says+"'\n")
	}
	m.run(script, args...).want(t, 3, "Privacy_AllFiles", "  macos 14.6: now 15.1\n", "  git 2.50.1: the same\n", "  homebrew 4.3.1: now 4.4.0\n", "This report is in "+m.home+"/maia/maia-recovered/report.txt")
	report, err := os.ReadFile(m.home + "/maia/maia-recovered/report.txt")
	if err != nil || !strings.HasPrefix(string(report), "Restore of "+b.id+" to "+m.home+"/maia, ") {
		t.Errorf("%v\n%s", err, report)
	}
	for _, says := range []string{"\nBackups are not running: ", "\n1 agent is loaded.\n", "  com.maia.a.plist: there is no desktop", "This is macOS 15.1", "Privacy_Accessibility"} {
		if !strings.Contains(string(report), says) {
			t.Errorf("the report does not say %q:\n%s", says, report)
		}
	}
	// Into another home, nothing is loaded.
	other := filepath.Join(t.TempDir(), "other home")
	mustMkdir(t, other)
	m.run(script, append(args, "--target-home", other, "--to", other+"/maia")...).want(t, 0, "  agents are not loaded: that home is not yours", "\n0 agents are loaded.\n")
}
