//! `lab report`: results as one page that needs nothing beside it.

use super::entry::us;
use super::plot::{self, escape};
use super::{Became, Entry, FIGURES, Roof, compare, totals};
use crate::kernel::{Precision, Variant, specialise, variants};
use crate::measure::{CandidateResult, Verdict, fingerprint};
use std::fmt::Write;

/// Results with the name of their file.
#[derive(Clone, Debug)]
pub struct Record {
    /// What it is called on the page.
    pub name: String,
    /// Its results.
    pub entries: Vec<Entry>,
}

/// What two measurements may differ by for reasons of their own.
const NOISE: f64 = 0.05;

const STYLE: &str = "body{font:14px/1.45 sans-serif;color:#222;max-width:1180px;margin:24px auto;padding:0 16px}\
h1{font-size:22px}h2{font-size:18px;margin-top:32px}table{border-collapse:collapse;font-size:12px;width:100%}\
th{text-align:left;border-bottom:2px solid #222;padding:3px 6px}td{border-bottom:1px solid #ddd;padding:2px 6px;white-space:nowrap}\
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}tr.best td{font-weight:bold}tr.wrong td{color:#a40000}\
td.why{white-space:normal}pre{background:#f6f6f6;padding:10px;overflow:auto;font-size:12px}.slower{color:#a40000}.faster{color:#00663a}\
svg{max-width:100%;height:auto}code{background:#f6f6f6;padding:1px 4px}.wide{overflow-x:auto}";

/// Opens the kernel that a link leads to, and tells who looks from outside whether the plots are there.
const SCRIPT: &str = "const open=()=>{const d=document.getElementById(location.hash.slice(1));if(d&&d.tagName==='DETAILS')d.open=true};\
addEventListener('hashchange',open);open();\
const plots=[...document.querySelectorAll('svg')];\
const drawn=plots.filter(p=>[...p.querySelectorAll('rect,circle,polyline')].filter(s=>s.getBBox().width>0).length>1);\
document.documentElement.dataset.plots=plots.length;document.documentElement.dataset.drawn=drawn.length;";

/// The page. `date` is when it was made, as it is to be shown.
pub fn report(records: &[Record], command: &str, date: &str) -> String {
    let mut page = String::new();
    let title = records.iter().map(|r| r.name.as_str()).collect::<Vec<_>>().join(" and ");
    let _ = write!(
        page,
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>{0}</title><style>{STYLE}</style></head>\n<body>\n<h1>mobilenet lab: {0}</h1>\n<p>Made {1} by <code>{2}</code></p>\n",
        escape(&title),
        escape(date),
        escape(command)
    );
    for record in records {
        about(&mut page, record);
    }
    if let [base, new] = records {
        changes(&mut page, base, new);
    }
    for record in records {
        let of = if records.len() > 1 { format!(": {}", escape(&record.name)) } else { String::new() };
        let _ = write!(page, "<h2>Roofline{of}</h2>\n{}", plot::roofline(&record.entries));
    }
    let sets: Vec<(&str, &[Entry])> = records.iter().map(|r| (r.name.as_str(), r.entries.as_slice())).collect();
    let _ = write!(page, "<h2>Kernels by layer</h2>\n{}", plot::layers(&sets));
    let mut sources = Sources::new();
    for record in records {
        let of = if records.len() > 1 { format!(": {}", escape(&record.name)) } else { String::new() };
        let _ = writeln!(page, "<h2>All candidates{of}</h2>");
        table(&mut page, record, &mut sources);
    }
    sources.write(&mut page);
    let _ = writeln!(page, "<script>{SCRIPT}</script>\n</body></html>");
    page
}

/// Adapter, driver, dates, commands, roof.
fn about(page: &mut String, record: &Record) {
    let _ = writeln!(page, "<h2>{}</h2><ul>", escape(&record.name));
    let mut told: Vec<String> = Vec::new();
    for entry in &record.entries {
        let device = &entry.device;
        let line = format!("{} ({}), driver {}", escape(&device.adapter), escape(&device.backend), escape(&device.driver));
        if !told.contains(&line) {
            let _ = writeln!(page, "<li>{line}</li>");
            told.push(line);
        }
        let line = format!("<code>{}</code>, {}", escape(&entry.command), date(entry.measured));
        if !entry.command.is_empty() && !told.contains(&entry.command) {
            let _ = writeln!(page, "<li>{line}</li>");
            told.push(entry.command.clone());
        }
    }
    if let Some(roof) = record.entries.iter().find_map(|e| e.roof.as_ref()) {
        let _ = writeln!(page, "<li>{}</li>", roof_line(roof));
    }
    let clocks: Vec<String> = record.entries.iter().map(|e| e.result.clock.to_string()).collect();
    let _ = writeln!(page, "<li>{} cases, by {}</li></ul>", record.entries.len(), escape(clocks.first().map_or("?", |c| c)));
}

fn roof_line(roof: &Roof) -> String {
    let f16 = roof.gflops_f16.map(|g| format!(", {g:.1} in f16")).unwrap_or_default();
    format!(
        "at most {:.1} GFLOP/s in f32{f16}; {:.1} GB/s from the caches, {:.1} from memory, {:.1} from workgroup memory; \
         a dispatch {:.1} us, a barrier {:.0} ns",
        roof.gflops,
        roof.gbytes_cached,
        roof.gbytes_memory,
        roof.gbytes_workgroup,
        roof.dispatch / 1e3,
        roof.barrier
    )
}

fn changes(page: &mut String, base: &Record, new: &Record) {
    let found = compare(&base.entries, &new.entries, NOISE, false);
    let _ = writeln!(page, "<h2>{} against {}</h2>", escape(&new.name), escape(&base.name));
    let [before, after] = totals(&found);
    if before > 0.0 {
        let _ = writeln!(
            page,
            "<p>All cases of both: {:.3} ms, then {:.3} ms: {:.3} times as long.</p>",
            before / 1e6,
            after / 1e6,
            after / before
        );
    }
    page.push_str("<div class=\"wide\"><table><tr><th>case</th><th>before</th><th class=n>us</th><th>after</th><th class=n>us</th><th class=n>ratio</th><th>95 %</th><th></th></tr>\n");
    for c in &found {
        let (class, word) = match c.became {
            Became::Slower => ("slower", "slower"),
            Became::Broken => ("slower", "broken"),
            Became::Faster => ("faster", "faster"),
            Became::Same => ("", "no difference"),
            Became::Missing => ("slower", "missing"),
            Became::Unmatched => ("", "only in one"),
        };
        let _ = writeln!(
            page,
            "<tr><td>{}</td><td>{}</td><td class=n>{}</td><td>{}</td><td class=n>{}</td><td class=n>{}</td><td>{}</td><td class=\"{class}\">{word}</td></tr>",
            escape(&c.name),
            escape(c.base.as_deref().unwrap_or_default()),
            us(c.base_ns),
            escape(c.new.as_deref().unwrap_or_default()),
            us(c.new_ns),
            c.ratio.map(|r| format!("{:.3}", r.ratio)).unwrap_or_default(),
            c.ratio.map(|r| format!("{:.3} to {:.3}", r.low, r.high)).unwrap_or_default(),
        );
    }
    page.push_str("</table></div>\n");
}

fn table(page: &mut String, record: &Record, sources: &mut Sources) {
    page.push_str("<div class=\"wide\"><table><tr>");
    page.push_str("<th>case</th><th>variant</th>");
    for name in FIGURES {
        let _ = write!(page, "<th class=n>{name}</th>");
    }
    page.push_str("<th>verdict</th><th>WGSL</th></tr>\n");
    for entry in &record.entries {
        let best = entry.result.best().map(CandidateResult::label);
        for (i, c) in entry.result.ranked().into_iter().enumerate() {
            let class = match &c.verdict {
                Verdict::Right if best.as_ref() == Some(&c.label()) => "best",
                Verdict::Right | Verdict::Skipped(_) => "",
                _ => "wrong",
            };
            let name = if i == 0 { format!("{} {}", entry.layer.as_deref().unwrap_or_default(), entry.key()) } else { String::new() };
            let _ = write!(page, "<tr class=\"{class}\"><td>{}</td>", escape(name.trim()));
            cells(page, entry, c);
            let _ = writeln!(page, "<td>{}</td></tr>", sources.link(entry, c));
        }
    }
    page.push_str("</table></div>\n");
}

fn cells(page: &mut String, entry: &Entry, c: &CandidateResult) {
    let _ = write!(page, "<td>{}</td>", escape(&c.label()));
    for figure in entry.figures(c, 2) {
        let _ = write!(page, "<td class=n>{figure}</td>");
    }
    let verdict = match &c.verdict {
        Verdict::Right => "right".to_string(),
        Verdict::Differs(why) => format!("differs {why}"),
        Verdict::Unsteady(why) | Verdict::OutOfBounds(why) | Verdict::Failed(why) | Verdict::Skipped(why) => why.clone(),
    };
    let _ = write!(page, "<td class=why>{}</td>", escape(&verdict));
}

/// The kernels as they ran, each once.
struct Sources {
    table: Vec<Variant>,
    /// Anchor, heading, WGSL.
    found: Vec<(String, String, String)>,
}

impl Sources {
    fn new() -> Self {
        Self { table: variants(), found: Vec::new() }
    }

    /// A link to a kernel, which stands on the page from now on.
    fn link(&mut self, entry: &Entry, c: &CandidateResult) -> String {
        let precision: Precision = entry.result.precision;
        let anchor = format!("wgsl-{}-{precision}", c.fingerprint);
        if self.found.iter().all(|(known, ..)| *known != anchor) {
            let own = entry.sources.get(&c.fingerprint).cloned();
            let ours = || self.table.iter().find(|v| fingerprint(v) == c.fingerprint).map(|v| v.source.to_string());
            let Some(source) = own.or_else(ours) else { return "of another version".into() };
            let constants: String = c.parameters.iter().map(|(name, value)| format!("// override {name} = {value}\n")).collect();
            let heading = format!("{}/{}, {precision}", entry.result.case.op, c.label());
            self.found.push((anchor.clone(), heading, format!("{constants}{}", specialise(&source, precision))));
        }
        format!("<a href=\"#{anchor}\">source</a>")
    }

    fn write(&self, page: &mut String) {
        page.push_str("<h2>The kernels as they ran</h2>\n");
        for (anchor, heading, source) in &self.found {
            let _ =
                writeln!(page, "<details id=\"{anchor}\"><summary>{}</summary><pre>{}</pre></details>", escape(heading), escape(source));
        }
    }
}

/// Seconds since 1970 as `2026-03-09 14:05 UTC`.
pub(super) fn date(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    // Days to a date of the Gregorian calendar: years begin in March, so that the leap day is the last (Hinnant's way).
    let z = days + 719_468;
    let (era, day_of_era) = (z / 146_097, z % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!("{year}-{month:02}-{day:02} {:02}:{:02} UTC", rest / 3_600, rest / 60 % 60)
}

/// The present, as [`report`] takes it.
pub fn today() -> String {
    date(crate::tune::now())
}

#[cfg(test)]
mod tests {
    use super::super::entry::tests::entry;
    use super::*;

    #[test]
    fn dates_are_of_the_calendar() {
        assert_eq!(date(0), "1970-01-01 00:00 UTC");
        assert_eq!(date(951_827_696), "2000-02-29 12:34 UTC");
        assert_eq!(date(1_767_225_599), "2025-12-31 23:59 UTC");
    }

    #[test]
    fn a_page_has_its_plots_tables_and_kernels() {
        let record = |name: &str, ns: f64| Record {
            name: name.into(),
            entries: vec![entry(7, &[("register_tile", ns), ("split_k", 2.0 * ns)]), entry(14, &[("register_tile", ns)])],
        };
        let one = report(&[record("a<b", 1e4)], "mobilenet lab report", "today");
        assert_eq!(one.matches("<svg").count(), 2);
        assert!(one.contains("a&lt;b") && !one.contains("a<b") && one.contains("fn main("));
        assert!(!one.contains("http://") || one.matches("http://").count() == one.matches("http://www.w3.org/2000/svg").count());
        assert_eq!(one.matches("<details").count(), 2, "each kernel once");
        let two = report(&[record("before", 1e4), record("after", 2e4)], "x", "today");
        assert_eq!((two.matches("<svg").count(), two.matches("class=\"slower\">slower").count()), (3, 2));
    }
}
