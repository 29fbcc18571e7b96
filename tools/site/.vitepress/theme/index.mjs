/** The default theme, with room for lines of code of 100 letters and for tables. */
import theme from 'vitepress/theme-without-fonts'
import './wide.css'

export default theme
