package main

import (
	"fmt"
	"slices"
	"strconv"
)

// median returns the middle value, or the mean of the two in the middle; 0 for none.
func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}

// medianOf returns the median of what pick says of each run.
func medianOf(runs []run, pick func(run) float64) float64 {
	values := make([]float64, len(runs))
	for i, r := range runs {
		values[i] = pick(r)
	}
	return median(values)
}

func seconds(r run) float64 { return r.Seconds }
func cpu(r run) float64     { return r.CPU }
func rss(r run) float64     { return float64(r.RSS) }
func added(r run) float64   { return float64(r.AddedBytes) }
func stored(r run) float64  { return float64(r.StoredBytes) }

// largest returns the largest of what pick says of each run.
func largest(runs []run, pick func(run) float64) float64 {
	most := 0.0
	for _, r := range runs {
		most = max(most, pick(r))
	}
	return most
}

// figure writes a number with three significant digits, and no more than two after the point.
func figure(v float64) string {
	switch {
	case v >= 99.95:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case v >= 9.995:
		return strconv.FormatFloat(v, 'f', 1, 64)
	case v >= 0.0995 || v == 0:
		return strconv.FormatFloat(v, 'f', 2, 64)
	}
	return strconv.FormatFloat(v, 'f', 3, 64)
}

// megabytes writes a number of bytes in MB of 10^6.
func megabytes(v float64) string { return figure(v / 1e6) }

// ratio writes how many times of ours a peer's value is; nothing where either is unknown.
func ratio(theirs, ours float64) string {
	if theirs <= 0 || ours <= 0 {
		return ""
	}
	return fmt.Sprintf(" (%s×)", figure(theirs/ours))
}
