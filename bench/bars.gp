# Horizontal bars with the range of the rounds, one colour for weft and one for the rest. The caller sets:
# data, out, head, unit, ticks (their format), rows, logscale (0 or 1), least, most, goal (NaN: none).
# Columns of data: row, value, lowest, highest, label, text beside the bar, is it weft (0 or 1).
set terminal svg size 900,(150 + 34 * rows) font "sans-serif,15" background "#ffffff"
set output out
set datafile separator "\t"
set title head font ",18" textcolor "#1a1a1a"
set xlabel unit textcolor "#1a1a1a"
set yrange [rows + 0.6:0.4]
set xrange [least:most]
if (logscale) set logscale x 10
set format x ticks
set border 1 linecolor "#808080"
set xtics nomirror textcolor "#1a1a1a"
set ytics scale 0 textcolor "#1a1a1a"
set grid xtics linecolor "#dddddd"
set style fill solid 1.0 noborder
unset key
if (goal == goal) set arrow from goal, graph 0 to goal, graph 1 nohead linecolor "#c03000" linewidth 2 dashtype 2 front
plot data using (least):1:(least):($7 == 1 ? $2 : NaN):($1 - 0.36):($1 + 0.36):ytic(5) \
        with boxxyerror linecolor "#2273b9", \
    data using (least):1:(least):($7 == 0 ? $2 : NaN):($1 - 0.36):($1 + 0.36) \
        with boxxyerror linecolor "#a8b2bc", \
    data using 2:1:3:4 with xerrorbars pointtype 0 linewidth 1.5 linecolor "#303030", \
    data using 4:1:6 with labels left offset 0.8,0 textcolor "#1a1a1a"
