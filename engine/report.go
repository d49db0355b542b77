package engine

import (
	"cmp"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"maia-dr/engine/component"
	"maia-dr/engine/repository"
	"maia-dr/engine/retention"
	"maia-dr/engine/state"
)

// Report is everything there is to tell about the backups of this machine, for one page. Sizes are bytes, durations seconds,
// days those of the schedule: each begins at the daily backup's time.
type Report struct {
	Version     int       `json:"version"`
	GeneratedAt time.Time `json:"generated_at"`
	Host        string    `json:"host"`
	Program     string    `json:"program_version"`
	Status      *Status   `json:"status"`
	// Days are the last ReportDays days, oldest first, beginning with the first day of which anything is known.
	Days []ReportDay `json:"days"`
	// Success counts the last 30 days on which a backup was due; a day that is not over counts once it has its backup.
	Success ReportSuccess `json:"success"`
	// LimitBytes is what the repository should stay below.
	LimitBytes int64 `json:"limit_bytes"`
	// Retained are all backups, newest first, and which rule keeps each; RetainedSourceBytes is what they hold together, as if
	// each were stored by itself.
	Retained            []ReportBackup    `json:"retained"`
	RetainedSourceBytes int64             `json:"retained_source_bytes"`
	Components          []ReportComponent `json:"components"`
	Coverage            ReportCoverage    `json:"coverage"`
	// Findings are the checks of a diagnosis that are not fine.
	Findings []Check `json:"findings"`
	// Problem says why a part of the report is missing; empty: nothing is.
	Problem string `json:"problem,omitempty"`
}

// ReportDays is how many days a report looks back.
const ReportDays = 60

// What became of a day's backup.
const (
	DayComplete = "complete"
	DayWarnings = "complete_with_warnings"
	DayFailed   = "failed"
	DayMissed   = "missed"
	DayOpen     = "open" // it is not over
)

// ReportDay is a day of the schedule. Durations are nil where nothing was measured.
type ReportDay struct {
	// Date is that of the day's beginning, in the machine's zone.
	Date string `json:"date"`
	// Backup is one of the Day values.
	Backup    string   `json:"backup"`
	BackupIDs []string `json:"backup_ids,omitempty"`
	// Upload is the highest rung that a backup of this day reached; empty: there is none.
	Upload string `json:"upload,omitempty"`
	// Drill is what the day's full drills came to: passed or failed; empty: there was none. Proven: one of them proved a restore.
	Drill  string `json:"full_drill,omitempty"`
	Proven bool   `json:"proven,omitempty"`
	// Error is the last failure's.
	Error string `json:"error,omitempty"`

	StoredBytes     int64    `json:"stored_bytes"`
	RepositoryBytes int64    `json:"repository_bytes,omitempty"`
	BackupSeconds   *float64 `json:"backup_s,omitempty"`
	UploadSeconds   *float64 `json:"upload_s,omitempty"`
	RestoreSeconds  *float64 `json:"restore_s,omitempty"`
}

// ReportSuccess counts days.
type ReportSuccess struct {
	Due      int `json:"due"`
	Complete int `json:"complete"`
}

// ReportBackup is a backup, and why it stays. Without a reason the next prune removes it.
type ReportBackup struct {
	BackupInfo
	Upload  string   `json:"upload,omitempty"`
	Reasons []string `json:"reasons"`
}

// ReportComponent is what the newest complete backup holds of one component.
type ReportComponent struct {
	Name        string `json:"name"`
	Entries     int    `json:"entries"`
	SourceBytes int64  `json:"source_bytes"`
	Databases   int    `json:"databases,omitempty"`
}

// ReportCoverage is what of the root the newest complete backup holds, and what it does not.
type ReportCoverage struct {
	BackupID string           `json:"backup_id,omitempty"`
	Captured repository.Count `json:"captured"`
	// Secret is how many files bear secrets, InVault how many of them are in the vault; Redacted have a copy without their
	// secrets, and no vault has the rest.
	Secret   int `json:"secret_files"`
	InVault  int `json:"in_vault"`
	Redacted int `json:"redacted"`
	// Excluded are the rules that leave something out, the largest first.
	Excluded []ReportExcluded `json:"excluded"`
	// LeftOut are files that should be in it and are not.
	LeftOut []repository.LeftOut `json:"left_out"`
	Total   int                  `json:"total_files"`
}

// ReportExcluded is what one rule leaves out.
type ReportExcluded struct {
	Rule string `json:"rule"`
	repository.Count
}

// Report collects the report from state, history and repository. findings are those of a diagnosis; it takes those that are
// not fine. An error means that the state cannot be read: whatever else is wrong is in the report.
func (e *Engine) Report(_ context.Context, d *Diagnosis) (*Report, error) {
	s, err := e.Status()
	if err != nil {
		return nil, err
	}
	history, err := e.state.History()
	if err != nil {
		return nil, &Error{Op: "read the history", Path: e.state.Path, Code: CodeState, Err: err}
	}
	r := &Report{
		Version: 1, GeneratedAt: e.now().UTC(), Host: e.env.Hostname, Program: e.opt.Version, Status: s, LimitBytes: footprintLimit,
		Retained: []ReportBackup{}, Components: []ReportComponent{}, Findings: []Check{},
		Coverage: ReportCoverage{Excluded: []ReportExcluded{}, LeftOut: []repository.LeftOut{}},
	}
	if d != nil {
		for _, c := range d.Checks {
			if c.State != CheckOK {
				r.Findings = append(r.Findings, c)
			}
		}
		slices.SortStableFunc(r.Findings, func(a, b Check) int { return urgency(b.State) - urgency(a.State) })
	}
	if v, err := e.view(); err != nil {
		r.Problem = err.Error()
	} else if err := e.reportRepository(r, v); err != nil {
		r.Problem = err.Error()
	}
	e.reportDays(r, history)
	return r, nil
}

func urgency(s CheckState) int {
	return slices.Index([]CheckState{CheckOK, CheckUnknown, CheckAttention, CheckFailed}, s)
}

// reportRepository fills in what lies in the repository.
func (e *Engine) reportRepository(r *Report, v *view) error {
	st, _, err := e.state.ReadStatus()
	if err != nil {
		return err
	}
	var in []retention.Backup
	for _, id := range v.ids() {
		info, _ := v.info(id)
		b := ReportBackup{BackupInfo: info, Reasons: []string{}}
		if sync := r.Status.OneDrive.Sync; sync != nil {
			b.Upload = sync.Backup(id).Rung.String()
		}
		proof := st.Drills.Proof
		in = append(in, retention.Backup{ID: id, Time: info.CreatedAt, Complete: info.State == StateComplete, Vault: info.Vault,
			Uploaded: v.e.isUploaded(r.Status, id), Drilled: proof != nil && proof.BackupID == id})
		if info.State == StateComplete || info.State == StateLocalOnly {
			r.RetainedSourceBytes += info.SourceBytes
		}
		r.Retained = append(r.Retained, b)
	}
	for i, d := range retention.Decide(in, e.opt.Config.Retention.Policy(), e.env.Zone) {
		r.Retained[i].Reasons = append(r.Retained[i].Reasons, d.Reasons...)
	}
	if r.Status.Newest == nil {
		return nil
	}
	m, _, err := v.manifest(r.Status.Newest.BackupID)
	if err != nil {
		return err
	}
	// Where the list cannot be read, what bears secrets and is in no vault counts as missing.
	files, err := v.files(m)
	r.describe(m, files)
	return err
}

// isUploaded reports whether the retention rule takes a backup for uploaded.
func (e *Engine) isUploaded(s *Status, id string) bool {
	sync := s.OneDrive.Sync
	return sync != nil && sync.CanAnswer && sync.Backup(id).Files > 0 && sync.Backup(id).Waiting == 0
}

// describe fills in what the newest complete backup holds, and what not.
func (r *Report) describe(m *repository.Manifest, files []repository.File) {
	for _, name := range component.Names() {
		if c := m.Components[name]; c != nil {
			r.Components = append(r.Components, ReportComponent{Name: name, Entries: c.Count, SourceBytes: c.SourceBytes, Databases: len(c.Databases)})
		}
	}
	c := &r.Coverage
	c.BackupID, c.Captured, c.Total = m.BackupID, m.Coverage.Captured, m.Coverage.Total
	for rule, n := range m.Coverage.Excluded {
		c.Excluded = append(c.Excluded, ReportExcluded{Rule: rule, Count: n})
	}
	slices.SortFunc(c.Excluded, func(a, b ReportExcluded) int {
		return cmp.Or(cmp.Compare(b.Bytes, a.Bytes), cmp.Compare(b.Files, a.Files), strings.Compare(a.Rule, b.Rule))
	})
	c.LeftOut = append(c.LeftOut, m.Coverage.LeftOut...)
	k := secretsKept(m, files)
	c.Secret, c.InVault, c.Redacted = len(m.Coverage.Secrets), k.InVault, k.Redacted
}

// reportDays goes through the slots of the schedule, from the first of which anything is known to today's.
func (e *Engine) reportDays(r *Report, history []state.HistoryEntry) {
	plan, now := e.Plan(), e.now()
	first := now
	begun := func(h *state.HistoryEntry) time.Time {
		return h.Time.Add(-time.Duration(h.Seconds * float64(time.Second)))
	}
	for i := range history {
		if history[i].Kind == "backup" && begun(&history[i]).Before(first) {
			first = begun(&history[i])
		}
	}
	for i := range r.Retained {
		if at := r.Retained[i].CreatedAt; at.Before(first) {
			first = at
		}
	}
	slot := plan.Slot(now)
	for range ReportDays {
		day := e.reportDay(r, history, slot.Contains, begun)
		if slot.Contains(now) && (day.Backup == DayMissed) {
			day.Backup = DayOpen
		}
		zone := e.env.Zone
		if zone == nil {
			zone = time.UTC
		}
		day.Date = slot.Begin.In(zone).Format(time.DateOnly)
		if len(r.Days) < 30 && day.Backup != DayOpen && (day.Backup != DayFailed || !slot.Contains(now)) {
			r.Success.Due++
			if day.Backup == DayComplete || day.Backup == DayWarnings {
				r.Success.Complete++
			}
		}
		r.Days = append(r.Days, day)
		if slot.Contains(first) || first.Equal(now) {
			break
		}
		slot = plan.Slot(slot.Begin.Add(-time.Hour))
	}
	slices.Reverse(r.Days)
}

// reportDay is what history and repository say of a day.
func (e *Engine) reportDay(r *Report, history []state.HistoryEntry, contains func(time.Time) bool, begun func(*state.HistoryEntry) time.Time) ReportDay {
	day := ReportDay{Backup: DayMissed}
	add := func(id string) {
		if !slices.Contains(day.BackupIDs, id) {
			day.BackupIDs = append(day.BackupIDs, id)
		}
	}
	for i := range history {
		h := &history[i]
		if h.Kind == "backup" && contains(begun(h)) {
			day.backup(h)
			if h.BackupID != "" {
				add(h.BackupID)
			}
		}
		if d := h.Drill; d != nil && h.Kind == "drill" && !d.Light && contains(begun(h)) {
			day.drill(d)
		}
	}
	for i := range r.Retained {
		// Also those of before there was a history here: adopted ones.
		b := &r.Retained[i]
		if !contains(b.CreatedAt) || b.State != StateComplete && b.State != StateLocalOnly {
			continue
		}
		if add(b.BackupID); day.Backup == DayMissed || day.Backup == DayFailed {
			day.Backup, day.StoredBytes = DayComplete, day.StoredBytes+b.StoredBytes
		}
	}
	day.upload(r, history)
	slices.Sort(day.BackupIDs)
	return day
}

func (d *ReportDay) backup(h *state.HistoryEntry) {
	switch h.Result {
	case repository.StatusCompleted, repository.StatusCompletedWithWarnings:
		d.Backup = DayComplete
		if h.Result == repository.StatusCompletedWithWarnings {
			d.Backup = DayWarnings
		}
		d.StoredBytes += h.StoredBytes
		d.RepositoryBytes = cmp.Or(h.RepositoryBytes, d.RepositoryBytes)
		if d.BackupSeconds == nil || h.Seconds > *d.BackupSeconds {
			d.BackupSeconds = &h.Seconds
		}
	case "failed":
		d.Error = h.Error
		if d.Backup == DayMissed {
			d.Backup = DayFailed
		}
	}
}

func (d *ReportDay) drill(x *state.Drill) {
	if d.Drill != "failed" {
		d.Drill = "passed"
	}
	if !x.Passed {
		d.Drill = "failed"
	}
	d.Proven = d.Drill == "passed" && (d.Proven || x.Proves())
	if x.Passed && (d.RestoreSeconds == nil || x.RestoreSeconds > *d.RestoreSeconds) {
		d.RestoreSeconds = &x.RestoreSeconds
	}
}

// upload is what is known of the upload of the day's backups: now, and from the history of those that are gone.
func (d *ReportDay) upload(r *Report, history []state.HistoryEntry) {
	best := -1
	raise := func(rung int, name string) {
		if rung > best {
			best, d.Upload = rung, name
		}
	}
	for _, id := range d.BackupIDs {
		if sync := r.Status.OneDrive.Sync; sync != nil {
			for i := range sync.Backups {
				if sync.Backups[i].BackupID == id {
					raise(int(sync.Backups[i].Rung), sync.Backups[i].Rung.String())
				}
			}
		}
		for i := range history {
			h := &history[i]
			if h.Sync == nil || h.BackupID != id {
				continue
			}
			raise(int(h.Sync.Rung), h.Sync.Rung.String())
			if d.UploadSeconds == nil || h.Sync.Seconds > *d.UploadSeconds {
				d.UploadSeconds = &h.Sync.Seconds
			}
		}
	}
}

// ReportMark begins every report's page: a file that does not begin with it is never overwritten by one.
const ReportMark = "<!doctype html>\n<!-- maia-dr report -->\n"

// WriteReport writes a report's page and returns its path. An empty path is a file in the state directory. A file there that is
// no report stays.
func (e *Engine) WriteReport(path string, page []byte) (string, error) {
	switch {
	case path == "":
		if err := e.state.Create(); err != nil {
			return "", explain("write the report", e.state.Path, err)
		}
		path = e.state.ReportFile()
	case !filepath.IsAbs(path):
		path = filepath.Join(e.env.Cwd, path)
	}
	if have, err := os.Open(path); err == nil {
		begin := make([]byte, len(ReportMark))
		n, _ := io.ReadFull(have, begin)
		have.Close()
		if string(begin[:n]) != ReportMark {
			return "", &Error{Op: "write the report", Path: path, Code: CodeUsage, Err: errors.New("what is there is no report"), Hint: "name another file with --output"}
		}
	}
	err := e.fs.WriteDurable(path, 0o600, func(w io.Writer) error {
		_, err := w.Write(page)
		return err
	})
	return path, explain("write the report", path, err)
}
