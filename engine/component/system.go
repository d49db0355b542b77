package component

import (
	"bytes"
	"cmp"
	"context"
	"io"
	"os"
	"os/user"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// SystemInfo describes what a backup was taken from: the content of system_metadata.json.
type SystemInfo struct {
	// MacOSVersion is "15.0 (Sequoia)"; elsewhere the system's own name with its version. MacOSBuild is the build or,
	// elsewhere, the bare version.
	MacOSVersion string `json:"macos_version"`
	MacOSBuild   string `json:"macos_build"`
	// PythonVersion and PythonPath are those of the interpreter that most agents use; empty: there is none.
	PythonVersion string `json:"python_version"`
	PythonPath    string `json:"python_path"`
	Hostname      string `json:"hostname"`
	Username      string `json:"username"`
	// MaiaPhase is "Phase 112", or "Unknown".
	MaiaPhase string `json:"maia_phase"`
	// BackupCreated is UTC, RFC 3339.
	BackupCreated string `json:"backup_created"`
	OSName        string `json:"os_name"`
	OSVersion     string `json:"os_version"`
	Home          string `json:"home"`
	UID           int    `json:"uid"`
	Arch          string `json:"arch"`
	// HomebrewPrefix is empty without Homebrew.
	HomebrewPrefix string `json:"homebrew_prefix"`
	TimeZone       string `json:"time_zone"`
	// GitVersion and HomebrewVersion are empty without these.
	GitVersion      string `json:"git_version,omitempty"`
	HomebrewVersion string `json:"homebrew_version,omitempty"`
	// OldRoots are folders whose place on another machine may be another one: the Maia root, home, and what agents take
	// for the Maia root or work in. Absolute; root and home first, then sorted.
	OldRoots []string `json:"old_roots"`
}

// SystemOptions are what CaptureSystem needs. Inventory, Run and Getenv are required.
type SystemOptions struct {
	Inventory    *Inventory
	Dependencies DependencyInfo
	Run          Runner
	Getenv       func(string) string
	// Now is when the backup was begun, Zone the machine's time zone.
	Now      time.Time
	Zone     *time.Location
	Hostname string
	// GOOS is the system; empty: this one.
	GOOS string

	osRelease, localtime string // files, for tests
}

// CaptureSystem returns what can be found out; what cannot is empty.
func CaptureSystem(ctx context.Context, o SystemOptions) SystemInfo {
	t := newTools(o.Run, o.GOOS, 10*time.Second)
	inv := o.Inventory
	s := SystemInfo{
		Hostname: o.Hostname, Username: o.username(), MaiaPhase: maiaPhase(inv.Root),
		BackupCreated: o.Now.UTC().Truncate(time.Second).Format(time.RFC3339),
		Home:          inv.Home, UID: os.Getuid(), Arch: machine(), HomebrewPrefix: o.Dependencies.BrewPrefix,
		TimeZone: o.zoneName(), OldRoots: oldRoots(inv),
	}
	if len(o.Dependencies.Interpreters) > 0 {
		s.PythonVersion, s.PythonPath = o.Dependencies.Interpreters[0].Version, o.Dependencies.Interpreters[0].Path
	}
	s.GitVersion = versionIn(ctx, t, t.lookUp("git", ""), "git version ")
	if prefix := o.Dependencies.BrewPrefix; prefix != "" {
		s.HomebrewVersion = versionIn(ctx, t, []string{prefix + "/bin/brew"}, "Homebrew ")
	}
	if t.goos == "darwin" {
		s.OSName = "macOS"
		s.OSVersion = answer(ctx, t, "/usr/bin/sw_vers", "-productVersion")
		s.MacOSBuild = answer(ctx, t, "/usr/bin/sw_vers", "-buildVersion")
		s.MacOSVersion = withName(s.OSVersion)
		return s
	}
	release := readRelease(cmp.Or(o.osRelease, "/etc/os-release"))
	s.OSName, s.OSVersion = cmp.Or(release["NAME"], t.goos), release["VERSION_ID"]
	s.MacOSVersion = cmp.Or(release["PRETTY_NAME"], strings.TrimSpace(s.OSName+" "+s.OSVersion))
	s.MacOSBuild = cmp.Or(release["BUILD_ID"], s.OSVersion)
	return s
}

func answer(ctx context.Context, t *tools, name string, args ...string) string {
	out, err := t.run(ctx, name, args...)
	if err != nil {
		return ""
	}
	return oneLine(strings.TrimSpace(string(out)))
}

// versionIn returns what stands behind before in the first line of the tool's answer to --version, up to a space.
func versionIn(ctx context.Context, t *tools, places []string, before string) string {
	_, out, err := t.first(ctx, places, "--version")
	line, _, _ := strings.Cut(string(out), "\n")
	rest, ok := strings.CutPrefix(line, before)
	if err != nil || !ok {
		return ""
	}
	version, _, _ := strings.Cut(rest, " ")
	return oneLine(version)
}

// Versions returns what is installed here of what a backup records versions of: macos, python, homebrew, git. What is
// not here, or does not answer, is not in it. The first of pythons that runs counts, then the one that a shell finds.
func Versions(ctx context.Context, run Runner, goos string, pythons []string) map[string]string {
	t := newTools(run, goos, 10*time.Second)
	found := map[string]string{"git": versionIn(ctx, t, t.lookUp("git", ""), "git version ")}
	var brews []string
	for _, dir := range brewPlaces {
		brews = append(brews, dir+"/brew")
	}
	found["homebrew"] = versionIn(ctx, t, append(brews, "brew"), "Homebrew ")
	if t.goos == "darwin" {
		found["macos"] = answer(ctx, t, "/usr/bin/sw_vers", "-productVersion")
	}
	for _, python := range slices.Concat(pythons, t.lookUp("python3", "")) {
		if id, err := t.identify(ctx, python); err == nil {
			found["python"] = id.Version
			break
		}
	}
	for name, version := range found {
		if version == "" {
			delete(found, name)
		}
	}
	return found
}

// macNames are Apple's names of the versions since the first that is supported.
var macNames = map[int]string{12: "Monterey", 13: "Ventura", 14: "Sonoma", 15: "Sequoia", 26: "Tahoe"}

func withName(version string) string {
	major, _, _ := strings.Cut(version, ".")
	if n, err := strconv.Atoi(major); err == nil && macNames[n] != "" {
		return version + " (" + macNames[n] + ")"
	}
	return version
}

// readRelease reads an os-release file: lines of KEY=value, quoted as a shell would.
func readRelease(path string) map[string]string {
	m := map[string]string{}
	b, err := readUpTo(path, 64<<10)
	if err != nil {
		return m
	}
	for line := range strings.Lines(string(b)) {
		if key, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok && !strings.HasPrefix(key, "#") {
			if n := len(value); n >= 2 && value[0] == value[n-1] && (value[0] == '"' || value[0] == '\'') {
				value = value[1 : n-1]
			}
			m[key] = value
		}
	}
	return m
}

func (o *SystemOptions) username() string {
	for _, name := range []string{"USER", "LOGNAME"} {
		if v := o.Getenv(name); v != "" {
			return v
		}
	}
	if u, err := user.LookupId(strconv.Itoa(os.Getuid())); err == nil {
		return u.Username
	}
	return ""
}

// zoneName returns the zone's name in the time zone database. Go calls the machine's own one "Local"; its name is in
// the link that sets it.
func (o *SystemOptions) zoneName() string {
	if o.Zone != nil && o.Zone != time.Local {
		return o.Zone.String()
	}
	if target, err := filepath.EvalSymlinks(cmp.Or(o.localtime, "/etc/localtime")); err == nil {
		if _, name, ok := strings.Cut(target, "/zoneinfo/"); ok {
			return name
		}
	}
	if o.Zone != nil && o.Zone.String() != "Local" {
		return o.Zone.String()
	}
	name, _ := o.Now.In(time.Local).Zone()
	return name
}

func machine() string {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return ""
	}
	return string(bytes.TrimRight(u.Machine[:], "\x00"))
}

// PhaseUnknown is the phase of a Maia that names none.
const PhaseUnknown = "Unknown"

var phase = regexp.MustCompile(`Phase (\d+)`)

// maiaPhase returns the first phase that SYSTEM_STATE.md names.
func maiaPhase(root string) string {
	b, err := readUpTo(filepath.Join(root, "SYSTEM_STATE.md"), 8<<20)
	if err == nil {
		if m := phase.FindSubmatch(b); m != nil {
			return "Phase " + string(m[1])
		}
	}
	return PhaseUnknown
}

// readUpTo returns a regular file's first bytes.
func readUpTo(path string, limit int64) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if fi, err := f.Stat(); err != nil || !fi.Mode().IsRegular() {
		return nil, errOther
	}
	return io.ReadAll(io.LimitReader(f, limit))
}

// oldRoots returns the folders that a restore elsewhere has to map.
func oldRoots(inv *Inventory) []string {
	var more []string
	for i := range inv.Agents {
		more = append(more, inv.Agents[i].roots()...)
	}
	slices.Sort(more)
	roots := []string{}
	for _, dir := range append([]string{inv.Root, inv.Home}, more...) {
		if dir != "" && !slices.Contains(roots, dir) {
			roots = append(roots, dir)
		}
	}
	return roots
}
