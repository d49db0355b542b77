package resources

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"maia-dr/packaging/ci/faults/matrix"
)

// packagesRepository has package lists, and an agent whose Python is in the Maia root.
func packagesRepository(t testing.TB) *builder {
	t.Helper()
	return homeRepository(t, map[string]string{"com.maia.a.plist": agentPlist("com.maia.a", "/Users/naythan/git/maia/env/bin/python3", "")}, nil, func(b *builder) {
		add := func(component, name, body string, mode int64) {
			b.items = append(b.items, item{component: component, kind: 'f', path: name, mode: mode, mtime: time.Unix(1_700_000_000, 0), body: []byte(body)})
		}
		add("dependencies", "Brewfile", "tap \"homebrew/bundle\"\ntap \"other/tools\"\ntap \"far/away\", \"https://example.com/x\"\nbrew \"jq\"\nbrew \"other/tools/skhd\", restart_service: :changed\n"+
			"cask \"$(touch pwned)\"\ncask \"iterm2\"\nmas \"Xcode\", id: 497799835\nsystem \"touch pwned\"\nbrew \"broken\"\nbrew \"--help\"\n", 0o644)
		add("dependencies", "pip_list.txt", "pip==24.0\nnumpy==1.26.4\ngone==0.1\n-e git+x==1\nlocal @ file:///x\n", 0o644)
		// A Python that knows all but one version; what it is asked for is in a file beside it.
		add("maia_code", "env/bin/python3", "#!/bin/sh\necho \"python $*\" >> \"$HOME/../log\"\ncase \"$*\" in *gone==0.1) exit 1 ;; esac\n", 0o755)
	})
}

// wrapBrew gives the machine a Homebrew that cannot install broken, and is killed with the script by the first jq.
func (m *machine) wrapBrew(log string) {
	m.t.Helper()
	text := "#!" + filepath.Join(m.bin, "sh") + "\necho \"brew $*\" >> '" + log + "'\n" +
		"case \"$*\" in *broken*) echo no such thing; exit 1 ;; *jq*) if [ ! -f '" + log + ".jq' ]; then : > '" + log + ".jq'; kill -9 $PPID; exit 1; fi ;; esac\n"
	for name, text := range map[string]string{"brew": text, "xcode-select": "#!" + filepath.Join(m.bin, "sh") + "\nexit 0\n"} {
		m.program(name, text)
	}
}

// TestPackages: they are installed one by one, a killed run is taken up where it was, failures stop nothing and are named, and
// nothing in the lists is taken for code.
func TestPackages(t *testing.T) {
	t.Parallel()
	matrix.Count(t, 1, "26")
	b := packagesRepository(t)
	script := filepath.Join(b.dir, "restore_maia.sh")
	m := newMachine(t, "bsdtar", "perl")
	m.wrapPlutil()
	m.wrapLaunchctl()
	log := filepath.Join(filepath.Dir(m.home), "log")
	m.wrapBrew(log)
	to := filepath.Join(m.home, "maia")
	args := []string{"--to", to, "--yes", "--vault-password-file", m.passwordFile("correct horse")}
	m.run(script, append(args, "--only", "packages")...).want(t, 1, "there is no Maia in "+to)
	m.run(script, "--to", to, "--yes", "--only", "packages").want(t, 12, "packages are installed only from a proven backup")
	m.run(script, append(args, "--no-packages")...).want(t, 0, "1 agent is loaded.")
	if _, err := os.Stat(log); err == nil {
		t.Fatal("packages were installed in spite of --no-packages")
	}
	if err := m.command(script, args...).Run(); err == nil {
		t.Fatal("it was not killed")
	}
	left := []string{"brew broken: see its log", "pip gone: another version than 0.1", `Brewfile: mas "Xcode"`, `Brewfile: system "touch pwned"`, `Brewfile: tap "far/away"`, `Brewfile: cask "$(touch pwned)"`,
		`Brewfile: brew "--help"`, "pip: -e git+x==1", "pip: local @ file:///x"}
	m.run(script, append(args, "--only", "packages")...).want(t, 3, append(left, "Packages to install: 4 by Homebrew, 2 by pip.")...)
	const pip = " -m pip install --user --no-input --disable-pip-version-check "
	want := "brew tap homebrew/bundle\nbrew tap other/tools\nbrew trust --help\nbrew trust other/tools\nbrew install --formula jq\nbrew install --formula jq\nbrew install --formula other/tools/skhd\n" +
		"brew install --formula broken\nbrew install --cask iterm2\npython" + pip + "numpy==1.26.4\npython" + pip + "gone==0.1\npython" + pip + "gone\n"
	got, err := os.ReadFile(log)
	if err != nil || string(got) != want {
		t.Errorf("%v\n%s\nwant\n%s", err, got, want)
	}
	done, err := os.ReadFile(filepath.Join(to, "maia-recovered/packages.done"))
	if err != nil || string(done) != "tap homebrew/bundle\ntap other/tools\nbrew jq\nbrew other/tools/skhd\ncask iterm2\npip numpy==1.26.4\npip gone==0.1\n" {
		t.Errorf("%v\n%s", err, done)
	}
	if text, err := os.ReadFile(filepath.Join(to, "maia-recovered/packages.log/brew-broken.log")); err != nil || string(text) != "no such thing\n" {
		t.Errorf("the log: %q %v", text, err)
	}
	m.run(script, append(args, "--only", "packages")...).want(t, 3, "Packages to install: 1 by Homebrew, 0 by pip.", "pip gone: another version than 0.1", "This report is in ")
	report, err := os.ReadFile(filepath.Join(to, "maia-recovered/report.txt"))
	if err != nil || !strings.HasPrefix(string(report), "Later part of the restore of "+b.id) || !strings.Contains(string(report), "brew broken: see its log") || !strings.Contains(string(report), "pip gone: another version than 0.1") {
		t.Errorf("the report: %v\n%s", err, report)
	}
	// Without Homebrew and the Command Line Tools, it says how to get them.
	m.without("brew")
	m.program("xcode-select", "#!/bin/sh\nexit 2\n")
	m.run(script, append(args, "--only", "packages")...).want(t, 3, "brew broken: no Homebrew yet", "xcode-select --install", "raw.githubusercontent.com/Homebrew/install/HEAD/install.sh")
	if found := append(glob(t, m.home+"/pwned"), glob(t, to+"/pwned")...); len(found) > 0 {
		t.Errorf("a list was executed: %v", found)
	}
}
