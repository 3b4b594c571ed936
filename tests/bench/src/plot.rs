//! Plots of the rates, as SVG: a panel for each scenario, a bar for each server.

use std::fmt::Write as _;

/// A panel: what was measured, and the rate of each server.
pub(crate) struct Panel {
    pub(crate) title: String,
    pub(crate) bars: Vec<(String, f64)>,
}

/// Draws the panels below each other, each with a scale of its own.
pub(crate) fn svg(title: &str, panels: &[Panel]) -> String {
    let rows: usize = panels.iter().map(|panel| panel.bars.len()).sum();
    let height = TOP + panels.len() * PANEL + rows * ROW;
    let mut svg = String::new();
    let _ = write!(
        svg,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" viewBox=\"0 0 {WIDTH} {height}\" \
         font-family=\"system-ui, sans-serif\" font-size=\"13\" fill=\"#1f2328\">\n\
         <rect width=\"{WIDTH}\" height=\"{height}\" fill=\"#ffffff\"/>\n\
         <text x=\"16\" y=\"28\" font-size=\"16\" font-weight=\"bold\">{}</text>\n",
        escaped(title)
    );
    let mut y = TOP;
    for Panel { title, bars } in panels {
        let _ =
            writeln!(svg, "<text x=\"16\" y=\"{}\" font-weight=\"bold\">{}</text>", y + 18, escaped(title));
        y += PANEL - 12;
        let most = bars.iter().map(|(_, rate)| *rate).fold(1.0, f64::max);
        for (server, rate) in bars {
            let width = rate / most * LONGEST;
            let color = if server.starts_with("Deputy") { "#0969da" } else { "#8c959f" };
            let _ = write!(
                svg,
                "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>\n\
                 <rect x=\"{BARS}\" y=\"{}\" width=\"{width:.1}\" height=\"{}\" fill=\"{color}\"/>\n\
                 <text x=\"{:.1}\" y=\"{}\">{} /s</text>\n",
                BARS - 8,
                y + 15,
                escaped(server),
                y + 3,
                ROW - 6,
                f64::from(BARS) + width + 6.0,
                y + 15,
                crate::report::thousands(*rate)
            );
            y += ROW;
        }
        y += 12;
    }
    svg.push_str("</svg>\n");
    svg
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

const WIDTH: usize = 820;
/// Where the bars begin.
const BARS: u32 = 230;
/// The width of the longest bar.
const LONGEST: f64 = 480.0;
const TOP: usize = 44;
/// Pixels of a panel beside its rows.
const PANEL: usize = 40;
const ROW: usize = 22;
