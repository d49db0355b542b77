package engine

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"maia-dr/engine/component"
	"maia-dr/engine/event"
	"maia-dr/engine/repository"
	"maia-dr/engine/state"
)

// Estimate is what a restore on a new machine would take, and what that is made of.
type Estimate struct {
	// Seconds is the sum of the parts that are known; Complete says that all are.
	Seconds  float64        `json:"seconds"`
	Complete bool           `json:"complete"`
	Parts    []EstimatePart `json:"parts"`
}

// EstimatePart is one part of an estimate.
type EstimatePart struct {
	// Name is download, restore or packages.
	Name string `json:"name"`
	// Seconds is nil where it is not known.
	Seconds *float64 `json:"seconds,omitempty"`
	// From says what the number comes from, or why there is none.
	From string `json:"from"`
}

func (x *Estimate) add(name string, seconds float64, from string) {
	x.Parts = append(x.Parts, EstimatePart{Name: name, Seconds: &seconds, From: from})
	x.Seconds += seconds
}

func (x *Estimate) unknown(name, from string) {
	x.Parts = append(x.Parts, EstimatePart{Name: name, From: from})
}

// estimate adds up what has been measured, and nothing else. m is the backup to restore; nil: there is none.
func (e *Engine) estimate(d *state.Drills, m *repository.Manifest) Estimate {
	var out Estimate
	history, err := e.state.History()
	if err != nil {
		e.log.Warn().Err(err).Msg("read history")
	}
	out.download(m, downloaded(d, history))
	out.restore(d.Proof)
	out.packages(m)
	out.Complete = !slices.ContainsFunc(out.Parts, func(p EstimatePart) bool { return p.Seconds == nil })
	return out
}

// downloaded returns the last full drill whose reading was a download: nil if there is none. In one with the script
// nothing tells reading from writing.
func downloaded(d *state.Drills, history []state.HistoryEntry) *state.Drill {
	ok := func(x *state.Drill) bool {
		return x != nil && !x.Light && !x.Script && x.DownloadedBytes > 0 && x.Phases[event.Read] > 0
	}
	if ok(d.Proof) {
		return d.Proof
	}
	for _, h := range slices.Backward(history) {
		if ok(h.Drill) {
			return h.Drill
		}
	}
	return nil
}

// download: all that the backup refers to, at the rate of a drill that downloaded. Its reading went at least at that pace.
func (x *Estimate) download(m *repository.Manifest, measured *state.Drill) {
	if m == nil {
		x.unknown("download", "there is no backup")
		return
	}
	var size int64
	for _, f := range m.Files {
		size += f.SizeBytes
	}
	for _, c := range m.Chunks {
		size += c.SizeBytes
	}
	if measured == nil {
		x.unknown("download", megabytes(size)+"; no download has been measured: `maia-dr drill --download` does it where files are in the cloud only")
		return
	}
	rate := float64(measured.DownloadedBytes) / measured.Phases[event.Read]
	x.add("download", float64(size)/rate, fmt.Sprintf("%s at the %.1f MB/s of the drill of %s", megabytes(size), rate/1e6, measured.At.Format(time.DateOnly)))
}

// restore: what the last full drill that passed took. What it downloaded meanwhile is in the other part.
func (x *Estimate) restore(full *state.Drill) {
	if full == nil {
		x.unknown("restore", "no full drill has passed yet")
		return
	}
	how, seconds, without := "drill", full.RestoreSeconds, ""
	if full.Script {
		how = "drill with the script"
	} else if full.DownloadedBytes > 0 {
		seconds, without = max(0, seconds-full.Phases[event.Read]), ", without its download"
	}
	x.add("restore", seconds, fmt.Sprintf("the full %s of %s on %s%s", how, full.BackupID, full.At.Format(time.DateOnly), without))
}

// packages: as long as they took when they were installed into this Maia before.
func (x *Estimate) packages(m *repository.Manifest) {
	const name = "packages"
	if m == nil || m.Components[component.Dependencies] == nil {
		x.unknown(name, "no backup lists any")
		return
	}
	number := m.Stats.PipPackages + m.Stats.BrewPackages
	installed, seconds := packagesTime(newestPackagesTime(string(m.MaiaRoot)))
	switch {
	case number == 0:
		x.add(name, 0, "there are none")
	case installed == 0:
		x.unknown(name, counted(number, "package", "packages")+"; how long they take to install has not been measured")
	default:
		each := float64(seconds) / float64(installed)
		x.add(name, float64(number)*each, fmt.Sprintf("%s at the %.1f s each that %d took in the last restore to this place", counted(number, "package", "packages"), each, installed))
	}
}

// packagesTimeName is the file in which restore_maia.sh says how long packages took: a line "installed seconds" for each
// time that it installed some.
const packagesTimeName = "packages.time"

// newestPackagesTime finds the newest of them: a Maia that was restored before has the next restore's in BesideDir-2, and
// so on.
func newestPackagesTime(root string) string {
	newest, at := "", time.Time{}
	for n := 1; n < 10; n++ {
		dir := BesideDir
		if n > 1 {
			dir = fmt.Sprintf("%s-%d", BesideDir, n)
		}
		path := filepath.Join(root, dir, packagesTimeName)
		if fi, err := os.Lstat(path); err == nil && (newest == "" || fi.ModTime().After(at)) {
			newest, at = path, fi.ModTime()
		}
	}
	return newest
}

// packagesTime adds up such a file; zero if there is none, or none that can be understood.
func packagesTime(path string) (installed, seconds int) {
	// Opening something else than a file could wait for ever.
	if fi, err := os.Lstat(path); err != nil || !fi.Mode().IsRegular() {
		return 0, 0
	}
	f, err := os.Open(path)
	if err != nil {
		return 0, 0
	}
	defer f.Close()
	lines := bufio.NewScanner(io.LimitReader(f, 1<<16))
	for lines.Scan() {
		var n, s int
		if got, err := fmt.Sscanf(lines.Text(), "%d %d", &n, &s); got == 2 && err == nil && n >= 0 && s >= 0 && n < 1e6 && s < 1e8 {
			installed, seconds = installed+n, seconds+s
		}
	}
	return installed, seconds
}
