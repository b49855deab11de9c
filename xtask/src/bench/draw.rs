//! Draws a chart as SVG, with logarithmic axes.
//!
//! The background is white, so that the chart is readable on a dark page too.

use crate::command::Fallible;

use plotters::coord::Shift;
use plotters::coord::combinators::{BindKeyPoints, IntoLogRange};
use plotters::prelude::*;

use super::axis::{self, Unit};

/// A chart over a number of something.
pub(super) struct Chart {
    pub(super) title: &'static str,
    pub(super) x: &'static str,
    pub(super) y: &'static str,
    pub(super) unit: Unit,
    pub(super) lines: Vec<Line>,
}

/// The line of one contender.
pub(super) struct Line {
    pub(super) label: &'static str,
    pub(super) thick: bool,
    /// Ordered by x.
    pub(super) points: Vec<(f64, f64)>,
}

/// The drawing area, in pixels.
type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

type Drawn = Fallible<()>;

const SIZE: (u32, u32) = (860, 500);

/// The palette of Okabe and Ito, whose colors color-blind people can distinguish.
const COLORS: [RGBColor; 6] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(86, 180, 233),
    RGBColor(0, 0, 0),
];

const GRID: RGBColor = RGBColor(221, 221, 221);

/// The legend is above the chart, where no line crosses it.
const LEGEND_TOP: i32 = 56;
const LEGEND_ROW: i32 = 22;
const LEGEND_COLUMNS: usize = 2;
/// The left edges of the columns.
const LEGEND_LEFT: [i32; LEGEND_COLUMNS] = [100, 475];

/// Draws the chart.
pub(super) fn svg(chart: &Chart) -> Fallible<String> {
    let mut svg = String::new();
    let root = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    let title = ("sans-serif", 24).into_text_style(&root);
    root.draw(&Text::new(chart.title, (LEGEND_LEFT[0], 14), title))?;
    let legend_ends = draw_legend(&root, &chart.lines)?;
    draw_lines(&root, legend_ends, chart)?;
    root.present()?;
    drop(root);
    Ok(svg)
}

/// Draws the legend. Returns the y coordinate of its end.
fn draw_legend(root: &Area<'_>, lines: &[Line]) -> Fallible<i32> {
    let style = ("sans-serif", 17).into_text_style(root);
    let mut y = LEGEND_TOP;
    for (row, lines_of_row) in lines.chunks(LEGEND_COLUMNS).enumerate() {
        for (column, line) in lines_of_row.iter().enumerate() {
            let x = LEGEND_LEFT[column];
            let sample = [(x, y), (x + 18, y), (x + 36, y)];
            draw_line(root, row * LEGEND_COLUMNS + column, line, &sample, &sample[1..2])?;
            root.draw(&Text::new(line.label, (x + 46, y - 8), style.clone()))?;
        }
        y += LEGEND_ROW;
    }
    Ok(y)
}

fn draw_lines(root: &Area<'_>, top: i32, chart: &Chart) -> Drawn {
    let points = || chart.lines.iter().flat_map(|line| &line.points);
    let x = axis::of_sizes(points().map(|point| point.0));
    let y = axis::of_times(points().map(|point| point.1));
    let (Some(x), Some(y)) = (x, y) else {
        return Err(format!(
            "{}: there are no points, or one of size 0, which a logarithmic axis cannot show",
            chart.title
        )
        .into());
    };
    let (_, below) = root.split_vertically(top);
    let mut context = ChartBuilder::on(&below)
        .margin_top(4)
        .margin_left(12)
        .margin_right(40)
        .margin_bottom(8)
        .x_label_area_size(54)
        .y_label_area_size(88)
        .build_cartesian_2d(
            x.range.log_scale().with_key_points(x.ticks),
            y.range.log_scale().with_key_points(y.ticks),
        )?;
    context
        .configure_mesh()
        .x_desc(chart.x)
        .y_desc(chart.y)
        .x_label_formatter(&|size| axis::size(*size))
        .y_label_formatter(&|value| chart.unit.label(*value))
        .label_style(("sans-serif", 16))
        .axis_desc_style(("sans-serif", 18))
        .bold_line_style(GRID)
        .draw()?;
    // Thin lines over thick ones, so that both are visible where they coincide.
    let in_order = |thick| chart.lines.iter().enumerate().filter(move |(_, l)| l.thick == thick);
    for (number, line) in in_order(true).chain(in_order(false)) {
        let pixels: Vec<_> = line.points.iter().map(|point| context.backend_coord(point)).collect();
        draw_line(root, number, line, &pixels, &pixels)?;
    }
    Ok(())
}

/// Draws a line with the color and the marker of its number.
fn draw_line(
    root: &Area<'_>,
    number: usize,
    line: &Line,
    through: &[(i32, i32)],
    markers: &[(i32, i32)],
) -> Drawn {
    let color = COLORS[number % COLORS.len()];
    let (width, r) = if line.thick { (4, 6) } else { (2, 4) };
    root.draw(&PathElement::new(through, color.stroke_width(width)))?;
    for &(x, y) in markers {
        match number % 4 {
            0 => root.draw(&Circle::new((x, y), r, color.filled()))?,
            1 => root.draw(&Rectangle::new([(x - r, y - r), (x + r, y + r)], color.filled()))?,
            2 => root.draw(&TriangleMarker::new((x, y), r + 1, color.filled()))?,
            _ => root.draw(&Cross::new((x, y), r, color.stroke_width(2)))?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart() -> Chart {
        let line = |label, thick, by| Line {
            label,
            thick,
            points: [1.0, 16.0, 256.0].map(|x| (x, x * by)).to_vec(),
        };
        let lines = vec![line("ours", true, 3.0), line("a < b & c", false, 400.0)];
        Chart { title: "Saving", x: "shards", y: "time", unit: Unit::Time, lines }
    }

    /// Whether all tags are closed in order, and the text holds no bare `&`.
    fn is_well_formed(xml: &str) -> bool {
        let mut open = Vec::new();
        for part in xml.split('<').skip(1) {
            let Some((tag, text)) = part.split_once('>') else { return false };
            let name = tag.split(' ').next().unwrap_or_default();
            if let Some(name) = name.strip_prefix('/') {
                if open.pop() != Some(name) {
                    return false;
                }
            } else if !tag.ends_with('/') && !tag.starts_with(['?', '!']) {
                open.push(name);
            }
            let entities = ["&amp;", "&lt;", "&gt;", "&quot;", "&apos;"];
            let bare = |at| !entities.iter().any(|entity| text[at..].starts_with(entity));
            if text.match_indices('&').any(|(at, _)| bare(at)) {
                return false;
            }
        }
        open.is_empty()
    }

    #[test]
    fn a_chart_is_well_formed_and_names_its_lines_and_axes() {
        let svg = svg(&chart()).unwrap();
        assert!(is_well_formed(&svg), "{svg}");
        let words = ["Saving", "ours", "a &lt; b &amp; c", "shards", "256", "100 us"];
        for word in words {
            let is_word = |text: &str| text.split('<').next().is_some_and(|t| t.trim() == word);
            assert!(svg.split('>').any(is_word), "no {word}: {svg}");
        }
        assert!(!is_well_formed("<svg><g></svg></g>") && !is_well_formed("<svg>a & b</svg>"));
    }

    #[test]
    fn equal_charts_give_equal_files() {
        assert_eq!(svg(&chart()).unwrap(), svg(&chart()).unwrap());
    }

    #[test]
    fn a_chart_without_points_is_an_error() {
        let mut chart = chart();
        chart.lines.clear();
        assert!(svg(&chart).is_err());
    }
}
