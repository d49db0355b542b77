package component

import (
	"path"
	"strings"
)

// venv records a virtual environment. It reports false if the folder is none after all.
func (w *walker) venv(rel string) bool {
	cfg := join(rel, "pyvenv.cfg")
	fi, err := w.sys.lstat(w.abs(cfg))
	if err != nil || !fi.Mode().IsRegular() {
		return false
	}
	v := VirtualEnv{Path: rel}
	if rel == "" {
		v.Path = "."
	}
	// One that cannot be read is an environment all the same, of unknown version.
	if b, err := readSmall(w.abs(cfg), StatOf(fi).ID(), 64<<10); err == nil {
		v.Python, v.Home = parseVenv(string(b))
	}
	w.inv.VirtualEnvs = append(w.inv.VirtualEnvs, v)
	return true
}

// parseVenv reads a pyvenv.cfg: lines of key = value. virtualenv writes version_info where venv writes version.
func parseVenv(text string) (version, home string) {
	for line := range strings.Lines(text) {
		key, value, ok := strings.Cut(line, "=")
		if !ok {
			continue
		}
		value = strings.TrimSpace(value)
		switch strings.ToLower(strings.TrimSpace(key)) {
		case "version":
			version = value
		case "version_info":
			// 3.9.6.final.0
			if parts := strings.Split(value, "."); version == "" && len(parts) >= 3 {
				version = strings.Join(parts[:3], ".")
			}
		case "home":
			home = value
		}
	}
	return version, home
}

// inPlaceSite reports whether a folder holds the installed packages of an environment that lies in somebody's work.
// Only they are excluded then: no tool can tell what else in there could be made again.
func (w *walker) inPlaceSite(rel string) bool {
	if path.Base(rel) != "site-packages" {
		return false
	}
	for _, env := range w.inPlace {
		inside, ok := strings.CutPrefix(rel, join(env, ""))
		if !ok {
			continue
		}
		for _, p := range []string{"lib/python*/site-packages", "lib64/python*/site-packages", "Lib/site-packages"} {
			if ok, err := path.Match(p, inside); err == nil && ok {
				return true
			}
		}
	}
	return false
}
