package cli

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"maia-dr/engine"
	"maia-dr/engine/onedrive"
	"maia-dr/engine/state"
)

// metric is a gauge of one family in Prometheus' text format: https://prometheus.io/docs/instrumenting/exposition_formats/
// What is not known has no sample: a rule then says absent(), and nobody takes a zero for an answer.
type metric struct {
	name, help string
	samples    []sample
}

type sample struct {
	labels [][2]string
	value  float64
}

// gauge is a metric with one sample.
func gauge(name, help string, value float64) metric {
	return metric{name, help, []sample{{value: value}}}
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// at is a moment in seconds since 1970.
func at(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }

// statusMetrics are the three answers as numbers.
func statusMetrics(s *engine.Status, version string) []metric {
	out := []metric{
		{"maia_dr_info", "The program that answered.", []sample{{[][2]string{{"version", version}}, 1}}},
		gauge("maia_dr_attention", "1 if something needs attention.", truth(s.Overall != engine.OverallFine)),
		gauge("maia_dr_run_active", "1 while a run is active.", truth(s.Activity == state.Running)),
		problemMetric(s.Problems),
	}
	if s.OneDrive.Path != "" {
		out = append(out, gauge("maia_dr_backups", "Backups in the repository.", float64(s.Backups)),
			gauge("maia_dr_repository_bytes", "What the repository in OneDrive takes up.", float64(s.TotalBytes)))
	}
	if s.Newest != nil {
		out = append(out,
			gauge("maia_dr_backup_timestamp_seconds", "When the newest complete backup began.", at(s.Newest.CreatedAt)),
			gauge("maia_dr_backup_overdue", "1 if the newest complete backup is older than 26 hours.", truth(s.Overdue)),
			gauge("maia_dr_backup_source_bytes", "Captured bytes of the newest complete backup.", float64(s.Newest.SourceBytes)),
			gauge("maia_dr_backup_stored_bytes", "New bytes that the newest complete backup added.", float64(s.Newest.StoredBytes)),
			gauge("maia_dr_backup_files", "Captured files of the newest complete backup.", float64(s.Newest.Files)),
			gauge("maia_dr_backup_warnings", "Warnings of the newest complete backup.", float64(s.Newest.Warnings)),
			gauge("maia_dr_backup_vault", "1 if the newest complete backup has a vault.", truth(s.Newest.Vault)))
	}
	if l := s.LastBackup; l != nil {
		out = append(out, gauge("maia_dr_backup_duration_seconds", "How long this machine's last complete backup took.", l.Seconds))
	}
	return append(append(out, syncMetrics(s)...), restoreMetrics(&s.Restore)...)
}

func problemMetric(problems []state.Problem) metric {
	m := metric{name: "maia_dr_problems", help: "Open problems by code.", samples: []sample{}}
	count := map[string]int{}
	for _, p := range problems {
		count[p.Code]++
	}
	for _, code := range slices.Sorted(maps.Keys(count)) {
		m.samples = append(m.samples, sample{[][2]string{{"code", code}}, float64(count[code])})
	}
	return m
}

func syncMetrics(s *engine.Status) []metric {
	rungs := metric{name: "maia_dr_upload_state", help: "1 for what is known of the newest backup's upload."}
	for r := onedrive.Unknown; r <= onedrive.CloudVerified; r++ {
		rungs.samples = append(rungs.samples, sample{[][2]string{{"state", r.String()}}, truth(r.String() == s.OneDrive.State)})
	}
	out := []metric{rungs}
	if sync := s.OneDrive.Sync; sync != nil && sync.CanAnswer {
		out = append(out,
			gauge("maia_dr_upload_waiting_files", "Files of all backups that await upload.", float64(sync.All.Waiting)),
			gauge("maia_dr_upload_waiting_bytes", "Bytes of all backups that await upload.", float64(sync.All.WaitingBytes)),
			gauge("maia_dr_upload_waiting_seconds", "How long the oldest file has been waiting, awake.", sync.WaitedSeconds))
	}
	return out
}

func restoreMetrics(r *engine.RestoreStatus) []metric {
	out := []metric{
		gauge("maia_dr_restore_proven", "1 if a full drill of the last 8 days proves that a restore works.", truth(r.Proven)),
		gauge("maia_dr_drills_run", "Drills that ran to their end, light ones too.", float64(r.DrillsRun)),
		gauge("maia_dr_drills_passed", "Drills that found nothing wrong, light ones too.", float64(r.DrillsPassed)),
	}
	if d := r.LastFull; d != nil {
		out = append(out,
			gauge("maia_dr_full_drill_timestamp_seconds", "When the last full drill ended.", at(d.At)),
			gauge("maia_dr_full_drill_passed", "1 if the last full drill found nothing wrong.", truth(d.Passed)),
			gauge("maia_dr_full_drill_restore_seconds", "How long the restore of the last full drill took.", d.RestoreSeconds))
	}
	return out
}

// writeMetrics writes the text format, version 0.0.4.
func writeMetrics(w io.Writer, metrics []metric) {
	escape := strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`)
	for _, m := range metrics {
		fmt.Fprintf(w, "# HELP %s %s\n# TYPE %s gauge\n", m.name, m.help, m.name)
		for _, s := range m.samples {
			var labels []string
			for _, l := range s.labels {
				labels = append(labels, l[0]+`="`+escape.Replace(strings.ToValidUTF8(l[1], "?"))+`"`)
			}
			set := ""
			if len(labels) > 0 {
				set = "{" + strings.Join(labels, ",") + "}"
			}
			fmt.Fprintf(w, "%s%s %s\n", m.name, set, strconv.FormatFloat(s.value, 'g', -1, 64))
		}
	}
}
